"""Words of which only the kind is known before they run: numbers of processes, counts, dates."""

import pytest

from caisey_core.kinds import Class
from caisey_core.policy import judge_script, strictest

BASH = "/bin/bash"


@pytest.mark.parametrize(
    "script",
    [
        "cat /proc/$(pgrep -o nginx)/status",
        "lsof -p $(pgrep -f gunicorn | head -1) | wc -l",
        "ps -fp $(pidof sshd)",
        "pidstat -r -p $(pgrep -o mysqld) 1 3",
        "pstree -s -p $$",
        "for p in $(pidof nginx); do cat /proc/$p/limits; done",
        "for i in $(seq 1 254); do ping -c1 -W1 192.168.1.$i; done",
        "for ip in 10.0.0.{1..6}; do ping -c1 $ip; done",
        "tail -5 /var/log/app-$(date +%F).log",
        "grep \"$(date '+%b %e')\" /var/log/syslog",
        "journalctl --since \"$(date -d '1 hour ago' '+%F %T')\"",
        "sar -f /var/log/sa/sa$(date +%d)",
        "dpkg -S $(which sshd)",
        'ls -l "$(command -v python3)"',
        "readlink -f `which java`",
        "for c in $(docker ps -q); do docker top $c; done",
        "docker inspect -f '{{.Name}} {{.RestartCount}}' $(docker ps -aq)",
        'for i in /sys/class/net/*; do echo "$(basename $i): $(cat $i/operstate)"; done',
    ],
)
def test_a_number_or_a_date_is_read_as_one(script: str) -> None:
    assert judge_script(script, BASH).risk is Class.OBSERVE


@pytest.mark.parametrize(
    "script",
    [
        # What it is a part of counts, where there is no number at all, too.
        "cat /proc/$(pgrep -o nginx)/environ",
        "cat /etc/shadow$(pgrep none)",
        'cat "/etc/shadow$(pgrep none)"',
        "cat /etc/$(pgrep none)/shadow",
        "cat < /etc/shadow$(pgrep none)",
        "cat /proc/$(pgrep none)/self/environ",
        "for f in /etc/shadow$(pgrep none); do cat $f; done",
        "for i in {1..3}; do cat /proc/$i/environ; done",
        "cd $(pgrep none) && cat x",
        "for p in /proc/[0-9]*; do cat $p/environ; done",
        'for p in /proc/*; do cat "$p/$(echo environ)"; done',
        "for p in /sys/kernel/*; do cat $p/x; done",
        # A date that spells something else.
        "cat /etc/sh$(date +adow)",
        "cat /var/log/$(date +../../etc/shadow)",
        "cat /root/.ssh/id_$(date +rsa)",
        "dig $(date +-f/etc/passwd)",
        "dig $(date -d '-9999 years' +%Y)",
        "dig $(date +%z)",
        # More words than one, fewer, or others than numbers.
        "e2label /dev/sda$(pgrep x)",
        "e2label /dev/sda1 $(pgrep x)",
        "hostname $(id -u)",
        "nslookup $(pgrep none)",
        "dig $(pgrep -d ' -f /etc/shadow ' x)",
        "dig $(pgrep -l x)",
        "for i in $(seq -s ' -f ' 1 3); do dig $i; done",
        "for i in $(seq -3 -1); do dig $i; done",
        # Programs that are named by it, and scripts it is a part of.
        "$(date +id)",
        'sh -c "cat /proc/$$/status"',
        "env $(pgrep none) sh",
        "kill $(pgrep nginx)",
        "docker inspect $(docker ps -aq)",
        "cat /etc$(which shadow)",
        "cat /etc/shadow$(which none)",
        "cat $(which -a ls)",
        "cat $(which ls /etc/shadow)",
        "$(which id)",
        "$(which id) -u",
        "sudo $(which rm) x",
        "nslookup $(which none)",
        "cp $(which sh) /tmp/x",
        "dig $(which sh)$(which ls)",
        "dig -$(which x)",
        "docker top $(docker ps -aq)",
        "docker rm $(docker ps -aq)",
        "docker inspect -f '{{.Name}}' $(docker ps --format '{{.Names}}')",
    ],
)
def test_nothing_hides_behind_a_number_or_a_date(script: str) -> None:
    assert judge_script(script, BASH).risk is not Class.OBSERVE


def test_rules_and_readers_see_a_word_that_is_not_known() -> None:
    commands = judge_script("tail /var/log/app-$(date +%F).log; cat /proc/$(pgrep x)/limits", BASH).commands
    assert [one.argv for one in commands] == [
        ("date", "+%F"),
        ("tail", None),
        ("pgrep", "x"),
        *[("cat", None), ("cat", None), ("cat", None, None)],
    ]


@pytest.mark.parametrize("inner", ["pgrep x", "date +%F", "seq 1 3", "nproc"])
def test_what_makes_the_word_is_judged_as_well(inner: str) -> None:
    for text in ("", " > /tmp/x", "; rm x"):
        whole = judge_script(f"echo $({inner}{text})", BASH).risk
        part = judge_script(f"{inner}{text}", BASH).risk
        assert strictest(whole, part) is whole
