"""What shows the environment of processes, services or containers may show secrets, whichever tool does it."""

from __future__ import annotations

import pytest

from caisey_core.kinds import Class
from caisey_core.policy import judge_argv, judge_script


@pytest.mark.parametrize(
    "command",
    [
        "docker inspect web",
        "docker container inspect web",
        "podman inspect web",
        "nerdctl image inspect x",
        "docker compose config",
        "crictl inspect 3f",
        "crictl inspectp 3f",
        "kubectl describe pod web",
        "kubectl describe deploy/web -n prod",
        "kubectl describe configmap x",
        "kubectl describe",
        "kubectl get pod web -o yaml",
        "kubectl get pods -A --output=json",
        "kubectl get svc,pods -o yaml",
        "kubectl get widgets.example.com -o yaml",
        "kubectl get secrets",
        "kubectl get Secret x -o yaml",
        "kubectl get cm",
        "oc get dc x -o json",
        "helm get values x",
        "helm get manifest x",
        "systemctl show",
        "systemctl show nginx",
        "systemctl show nginx -p Environment",
        "systemctl show -p MainPID -p environment nginx",
        "systemctl show-environment",
        "systemd-analyze dump",
        "launchctl print system/com.apple.sshd",
        "launchctl dumpstate",
        "ps e",
        "ps auxe",
        "ps e -p 1",
        "ps -eo pid,environ",
        "ps axo pid,environ",
        "cat /proc/1/environ",
        "printenv",
        "env",
    ],
)
def test_environments_are_sensitive(command: str) -> None:
    assert judge_argv(command.split()).risk is Class.SENSITIVE
    assert "secret" in judge_argv(command.split()).why or "passwords" in judge_argv(command.split()).why


@pytest.mark.parametrize(
    "command",
    [
        "docker ps -a",
        "docker network inspect bridge",
        "kubectl get pods -A -o wide",
        "kubectl get deploy,svc -n prod",
        "kubectl get nodes -o yaml",
        "kubectl -n prod describe svc web",
        "kubectl describe node n1",
        "crictl ps",
        "helm status x",
        "systemctl status nginx",
        "systemctl cat nginx",
        "cat /etc/systemd/system/nginx.service",
        "systemctl show nginx -p MainPID,ActiveState",
        "systemctl show --property=NRestarts nginx",
        "launchctl list",
        "ps -ef",
        "ps axo pid,etime,cmd",
    ],
)
def test_what_leaves_them_out_is_read(command: str) -> None:
    """Unit files are the system's, and every user of the machine may read them."""
    assert judge_argv(command.split()).risk is Class.OBSERVE


@pytest.mark.parametrize(
    "command", ["kubectl get $x -o wide", "systemctl show -p $x a", "ps $x", "kubectl get -o $x po"]
)
def test_what_is_known_only_when_it_runs_may_be_any_of_these(command: str) -> None:
    assert judge_script(command, "/bin/sh").risk not in {Class.OBSERVE, Class.SENSITIVE}
