"""Programs that start programs: judged as what they contain, and not at all where an option loads or steers more."""

from __future__ import annotations

import pytest

from caisey_core.kinds import Class
from caisey_core.policy import judge_script

SH, BASH = "/bin/sh", "/bin/bash"
WRAPPERS = [
    "sudo {}",
    "sudo -n -u www-data {}",
    "sudo -nu root -- {}",
    "env {}",
    "env -- LC_ALL=C {}",
    "env -u LANG {}",
    "nice {}",
    "nice -n 5 {}",
    "nice -19 {}",
    "ionice -c2 -n7 {}",
    "timeout 5 {}",
    "timeout -s KILL -k 5 10s {}",
    "timeout --signal=TERM --preserve-status 1.5m {}",
    "nohup {}",
    "setsid -w {}",
    "stdbuf -oL {}",
    "time {}",
    "time -p {}",
    "command {}",
    "watch -n 1 {}",
    "watch '{}'",
    "sh -c '{}'",
    "sh -ec '{}' x y",
    "bash -c '{}'",
    "bash --norc -xc '{}'",
    "nice timeout 5 sudo -u x bash -c 'nohup env {}'",
    """sh -c 'sh -c "sh -c \\"{}\\""'""",
]


@pytest.mark.parametrize("shell", [SH, BASH])
@pytest.mark.parametrize(
    ("command", "risk"),
    [
        ("id", Class.OBSERVE),
        ("cat /etc/shadow", Class.SENSITIVE),
        ("systemctl restart cups", Class.REVERSIBLE),
        ("touch x", Class.PERSISTENT),
        ("rm x", Class.DESTRUCTIVE),
        ("nonesuch", Class.UNJUDGED),
    ],
)
def test_a_wrapper_is_judged_as_what_it_contains(command: str, risk: Class, shell: str) -> None:
    for wrapper in WRAPPERS:
        verdict = judge_script(wrapper.format(command), shell)
        assert verdict.risk is risk, wrapper
        assert tuple(command.split()) in [each.argv for each in verdict.commands], wrapper


@pytest.mark.parametrize(
    "script",
    [
        # what loads files, or changes how the script is read
        *("bash --rcfile x -c ls", "bash --rcfile=/tmp/x -c ls", "bash --init-file x -c ls", "bash --posix -c ls"),
        *("bash -O extglob -c ls", "bash +O extglob -c ls", "bash -c -O expand_aliases ls", "bash -o posix -c ls"),
        *("bash -lc ls", "bash -c -l ls", "bash -ic ls", "bash +e -c ls", "sh -oc ls", "sh -o errexit -c ls"),
        *("bash x.sh", "sh -s", "bash", "sh -- -c ls", "bash -s < x", "timeout 5 bash x.sh", "bash -c 'source /tmp/x'"),
        # what the environment may steer
        *("BASH_ENV=/tmp/x bash -c ls", "env BASH_ENV=/tmp/x bash -c ls", "sudo BASH_ENV=/tmp/x bash -c ls"),
        *("ENV=/tmp/x sh -c ls", "env -i PATH=/tmp ls", "env PATH=/tmp ls", "env LD_PRELOAD=x ls", "sudo PATH=/tmp ls"),
        *("env -i ls", "env - ls", "env -u PATH ls", "env -uPATH ls", "env --unset=PATH bash -c ls"),
        *("env -S 'sh -c id'", "env -S ls", "env --split-string=ls", "env -vS ls", "env -C /root/.ssh ls"),
        *("BASH_ENV=x; bash -c ls", "for PATH in /tmp; do ls; done", "sudo --preserve-env=LD_PRELOAD ls"),
        *("sudo -D /root/.ssh cat x", "sudo -R /x ls", "sudo -s ls", "sudo -i ls", "sudo -e x", "sudo --us=root ls"),
        # what is known only when it runs
        *(
            "sh -c '$0' rm",
            """sh -c '"$@"' x rm y""",
            "bash -c 'find $1' x -delete",
            'timeout 5 bash -c "$x"',
            "sh -c $x",
        ),
        *(
            "timeout $x 5 ls",
            "nice -n $x ls",
            "timeout x ls",
            "sudo $x ls",
            "timeout 5 ./x",
            "/tmp/env ls",
            "./sudo ls",
        ),
        *("xargs sh", "xargs sh -c", "xargs env", "xargs sudo", "xargs timeout 5", "xargs find", "xargs -I l ls x"),
        *("xargs -I{} sh -c {}", "xargs -I{} sh -c 'ls {}'", "xargs -I@ sudo @", "xargs watch", "ls | xargs -o vi"),
        *("xargs --process-slot-var=LD_PRELOAD ls", "xargs -I{} watch 'echo {}'", "time -o x ls", "time -f %E ls"),
        # what could be read in two ways
        *("timeout 5 -- ls", "timeout 5 --foreground ls", "nice --5 ls", "watch -x ls", "env A=B", "exec ls"),
    ],
)
@pytest.mark.parametrize("shell", [SH, BASH])
def test_what_loads_or_steers_more_than_is_seen_is_not_judged(script: str, shell: str) -> None:
    assert judge_script(script, shell).risk is Class.UNJUDGED


@pytest.mark.parametrize(
    ("script", "risk"),
    [
        # positional words are known only when it runs
        ("sh -c 'ls \"$1\"' x /etc/shadow", Class.OBSERVE),
        ("sh -c 'cat \"$1\"' x /etc/shadow", Class.SENSITIVE),
        ("bash -c 'cat $0' /etc/shadow", Class.SENSITIVE),
        ("bash -c 'rm $0' x", Class.DESTRUCTIVE),
        ("bash -c ls --rcfile x", Class.OBSERVE),
        ("timeout 5 bash -c id $(rm x)", Class.DESTRUCTIVE),
        ("xargs bash -c 'ls $0'", Class.OBSERVE),
        ("find . -exec sh -c 'rm \"$1\"' _ {} \\;", Class.DESTRUCTIVE),
        ("find . -exec env ls {} +", Class.OBSERVE),
        ("xargs -a /etc/shadow echo", Class.SENSITIVE),
        ("xargs -a /tmp/x cat", Class.SENSITIVE),
        ("find /var/log | xargs -I{} ls -l {}", Class.OBSERVE),
        ("xargs -I{} rm -f {}", Class.DESTRUCTIVE),
        ("xargs -I{} cat x{}y", Class.SENSITIVE),
        ("watch ls '; rm x'", Class.DESTRUCTIVE),
        ("watch ls '&&' 'rm x'", Class.DESTRUCTIVE),
        ("sudo -unroot rm x", Class.DESTRUCTIVE),
        ("sudo -u ls rm x", Class.DESTRUCTIVE),
        ("nice -n ls rm x", Class.DESTRUCTIVE),
        ("sudo -l rm", Class.OBSERVE),
        ("command -v rm", Class.OBSERVE),
        ("env", Class.SENSITIVE),
        ("nice", Class.OBSERVE),
    ],
)
@pytest.mark.parametrize("shell", [SH, BASH])
def test_what_a_wrapper_hands_on(script: str, risk: Class, shell: str) -> None:
    assert judge_script(script, shell).risk is risk


@pytest.mark.parametrize(
    ("words", "literal"),
    [("{} -I{} a{}b {},{}", True), ("{a,b} {{}} {}{a,b} {'',-delete} x{1..3} {", False)],
)
def test_braces_with_nothing_in_them_are_letters(words: str, literal: bool) -> None:
    for word in words.split():
        assert (judge_script(f"echo {word}", BASH).commands[0].argv == ("echo", word)) is literal, word


def test_empty_braces_are_letters_to_the_shells_themselves() -> None:
    import subprocess

    for shell in (SH, BASH):
        said = subprocess.run([shell, "-c", "echo {} -I{} a{}b {},{}"], capture_output=True, text=True, check=True)
        assert said.stdout == "{} -I{} a{}b {},{}\n"
