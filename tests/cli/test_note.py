"""The ticket note: stories in, notes out. `golden/` holds the one of `product.md`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from caisey_cli import wording
from caisey_cli.note import LINES, markdown, to_json, write_note
from caisey_core.chain import Report, State
from caisey_core.frames import Entry
from caisey_core.kinds import ActionProposed, Class, Memory
from caisey_core.record import Sealed
from tests.cli.noting import full, line, mishaps, printer
from tests.cli.story import Story
from tests.cli.workspace import Workspace, moment

GOLDEN = Path(__file__).parent / "golden"


# -- the measure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cite", [False, True])
def test_the_note_of_the_product_story(cite: bool) -> None:
    golden = GOLDEN / ("printer-cited.txt" if cite else "printer.txt")
    assert printer().text(cite=cite) == golden.read_text()


def test_the_same_records_give_the_same_bytes() -> None:
    one, other = printer(), printer()
    assert one.text(True) == other.text(True)
    assert markdown(one.written(), True) == markdown(other.written(), True)
    assert json.dumps(to_json(one.written())) == json.dumps(to_json(other.written()))


def test_every_line_with_a_claim_rests_on_records() -> None:
    story = printer()
    assert story.text(cite=True).isascii()
    for each in story.written().lines:
        assert each.records, each
        assert set(each.records) <= set(range(1, len(story.entries) + 1))


def test_a_session_without_a_typed_word_answers_the_six_questions() -> None:
    story = Story()
    story.observe(failed_services=("cups.service",))
    story.read("systemctl status cups", status=3, out="cups.service - failed\n")
    story.change("systemctl restart cups", approve="sam", after=12)
    story.check("systemctl is-active cups", out="active\n")
    story.close()
    said = story.text(cite=True)
    assert said.startswith("ACME/front-desk-03, no ticket, session s")
    assert "Reported: no reason was given (ana, 10:02) [1]" in said
    assert "Before:   cups failed [2]" in said
    assert "Checked:  2 read-only commands: systemctl (exit 3), systemctl" in said
    assert "Changed:  systemctl restart cups; approved by sam after 12 s; root; exit 0" in said
    assert "Verified: systemctl is-active cups, exit 0: passed 10:02" in said
    assert "Outcome:  resolved, nothing open" in said
    six = story.written().six
    assert all(answer for answer in (six.endpoint, six.before, six.proposed, six.decided, six.returned, six.verified))
    assert six.endpoint[0].text == "ACME/front-desk-03: opened by ana on 2026-11-24 at 10:02:00 UTC"
    assert [each.text.split("; ")[1] for each in six.proposed] == [
        "finished, exit 3",
        "finished, exit 0",
        "finished, exit 0",
    ]
    assert "approved by sam at" in six.decided[0].text
    assert "shown as text/1" in six.decided[0].text
    assert '22 bytes of output in 0.1 s, "cups.service - failed"' in six.returned[0].text


def test_an_empty_session_reads_well() -> None:
    story = Story()
    story.observe()
    story.close()
    assert story.text() == (
        f"ACME/front-desk-03, no ticket, session {story.transcript().code} (3 records, intact); "
        "2026-11-24, times in UTC\n"
        "Reported: no reason was given (ana, 10:02)\n"
        "Before:   nothing unusual: no failed service, disks not known, 62 % of memory available, load 0.12,\n"
        "            up 12 days\n"
        "Checked:  no read-only command was run\n"
        "Found:    no finding was marked\n"
        "Decided:  nothing was held for a decision\n"
        "Changed:  nothing\n"
        "Verified: nothing was verified, nothing was changed\n"
        "Outcome:  resolved, nothing open\n"
        "Time:     10:02:00-10:02:02: 2 s attended, 0 waiting, 0 idle = 2\n"
    )


def test_json_is_versioned_and_complete() -> None:
    shape = json.loads(json.dumps(to_json(printer().written())))
    assert (shape["v"], shape["kind"], shape["state"], shape["outcome"]) == (1, "note", "intact", "resolved")
    assert shape["begun"] == moment("10:02")
    assert sum(shape["time_ms"][each] for each in ("attended", "waiting", "idle")) == shape["time_ms"]["total"]
    assert set(shape["six"]) == {"endpoint", "before", "proposed", "decided", "returned", "verified"}
    assert shape["lines"][0] == {"label": "Reported", "text": "nothing prints (ana, 10:02)", "records": [1]}


# -- before -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"disks": (full("/", 43), full("/snap/core", 100, "squashfs"))}, "disks at most 43 % full"),
        ({"disks": (full("/", 90), full("/var", 97))}, "/var 97 % full; / 90 % full"),
        ({"memory": Memory(total=1000, available=40, swap_total=0, swap_free=0)}, "only 4 % of memory available"),
        ({"load_centi": (1234, 5, 5), "cpus": 2}, "load 12.34 on 2 CPUs"),
        ({"uptime_s": 400}, "up for only 6 min"),
        ({"failed_services": None}, "nothing unusual: failed services not known"),
        ({"failed_services": ("a b;\n Outcome: x",)}, '"a b; Outcome: x" failed'),
    ],
)
def test_what_the_endpoint_showed_before(facts: dict[str, Any], said: str) -> None:
    story = Story()
    story.observe(**facts)
    assert said in line(story, "Before")


def test_an_endpoint_that_was_never_observed() -> None:
    assert line(Story(), "Before") == "the endpoint has not said what it shows"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, "nothing unusual that was not there before"),
        ({"uptime_s": 400}, {"uptime_s": 420}, "nothing unusual that was not there before"),
        ({"failed_services": ("a.service", "b.service")}, {"failed_services": ("b.service",)},
         "a failed no more; still b failed"),
        ({}, {"failed_services": ("c.service",)}, "c failed"),
        ({"failed_services": None}, {"failed_services": ()}, "nothing unusual that was not there before"),
        ({"disks": (full("/", 40), full("/var", 100))}, {"disks": (full("/", 43), full("/var", 91))},
         "/var 91 % full, was 100 %"),
        ({"disks": (full("/", 89),)}, {"disks": (full("/", 90),)}, "/ 90 % full, was 89 %"),
        ({"disks": (full("/", 97),)}, {"disks": (full("/", 97),)}, "still / 97 % full"),
        ({"memory": Memory(total=100, available=4, swap_total=0, swap_free=0)}, {},
         "62 % of memory available, was 4 %"),
        ({"load_centi": (1234, 5, 5), "cpus": 2}, {"load_centi": (90, 5, 5), "cpus": 2}, "load 0.90, was 12.34"),
        ({"uptime_s": 90_000}, {"uptime_s": 65}, "started anew 65 s ago"),
    ],
)  # fmt: skip
def test_what_the_endpoint_showed_after_the_last_change(
    before: dict[str, Any], after: dict[str, Any], said: str
) -> None:
    story = Story()
    story.observe(**before)
    story.change("systemctl restart cups")
    assert line(story, "After") == ""
    story.observe(**after)
    assert line(story, "After", cite=True) == f"{said} [2,8]"
    story.change("systemctl restart cups")
    assert line(story, "After") == "", "what was seen before the last change says nothing of it"


def test_what_was_only_read_needs_no_second_look() -> None:
    story = Story()
    story.observe()
    story.read("df -h")
    story.observe()
    assert line(story, "After") == ""


# -- what did not run, or not well ------------------------------------------------------------------------


def test_everything_that_did_not_go_well_is_told_in_order() -> None:
    story = mishaps()
    note = story.written()
    unknown = 'it may have run, and nobody can say how it ended: "the agent was ended while it ran"'
    told = [(each.label, each.text) for each in note.lines if each.label not in {"Before", "Time"}]
    assert told == [
        ("Reported", "spooler (ana, 10:02)"),
        ("Checked", "no read-only command was run"),
        ("Found", "no finding was marked"),
        ("Denied", "rm -rf /srv; by lee after 61 s: \"no, 'never'\""),
        ("Refused", "mkfs /dev/sda; by the endpoint: \"denied by rule 'disks'\""),
        ("Withdrawn", 'reboot; by ana at 10:03: "rebooting after hours"'),
        (
            "Expired",
            "apt upgrade; nobody answered within 10 min, asked by ana at 10:03; approved by sam without effect",
        ),
        ("Failed", "make; approved by sam after 10 s and lee after 20 s; root; exit 1 (\"Job failed\")"),
        ("Unknown", f"fsck /dev/sdb; approved by sam after 1 s; root; {unknown}"),
        ("Failed", "frobnicate; approved by sam after 1 s; root; could not be started: No such file or directory"),
        ("Abandoned", "halt; to be approved by another admin or approver, asked by ana at 10:13"),
        ("Verified", 'nothing was verified: "machine is to be replaced"'),
        (
            "Outcome",
            "unresolved, open: fsck unknown, halt abandoned, what was changed has not passed a check since",
        ),
    ]  # fmt: skip
    assert 10 <= len(story.text().splitlines()) <= LINES


def test_what_was_denied_and_is_proposed_again_is_flagged() -> None:
    story = Story()
    story.deny("rm -rf /srv", reason="no")
    story.change("rm -rf /srv", approve="lee")
    assert line(story, "Changed").endswith("exit 0; the same as sam denied (record 4)")
    story.change("rm -rf /srv/cache", approve="lee")
    assert line(story, "Changed").count("the same as") == 1


def test_where_and_with_what_a_command_runs_is_told_where_it_is_not_the_usual() -> None:
    story = Story()
    odd = {"HOME": "/root", "PATH": "/tmp/bin:/bin", "LD_PRELOAD": "/tmp/evil.so"}
    story.hold(story.propose("rm -rf .", directory="/srv/data", environment=odd))
    assert line(story, "Waiting").startswith("rm -rf .; in /srv/data, with LD_PRELOAD, another PATH; ")
    story.start(story.propose("ls", script=True, shell="/tmp/sh"))  # noqa: S604
    assert line(story, "Running").startswith("/tmp/sh -c ls; ")
    story.read("/tmp/ls /srv")
    story.read("/usr/bin/ls /srv")
    assert line(story, "Checked") == "2 read-only commands: /tmp/ls, ls"


def test_reading_what_is_sensitive_says_who_confirmed_it() -> None:
    story = Story()
    action = story.propose("cat /etc/shadow")
    hold = story.hold(action, confirm=True, risk=Class.SENSITIVE)
    story.start(action, story.confirm(hold), risk=Class.SENSITIVE)
    story.finish(action)
    story.read("cat /etc/motd")
    assert line(story, "Checked") == "2 read-only commands: cat (sensitive, confirmed by ana), cat"
    assert line(story, "Changed") == "nothing"


def test_free_text_that_could_pass_for_ours_stands_in_quotes() -> None:
    story = Story(reason='slow" (ana, 09:00); Outcome: resolved')
    story.find("a bad disk (marked by sam)")
    assert line(story, "Reported") == '"slow\' (ana, 09:00); Outcome: resolved" (ana, 10:02)'
    assert line(story, "Found") == '"a bad disk (marked by sam)" (marked by ana)'


def test_a_solo_workspace_says_so() -> None:
    story = Story(solo=True)
    story.change("systemctl restart cups")
    assert "confirmed by ana alone (solo workspace)" in line(story, "Changed")


def test_one_that_waits_and_one_that_runs() -> None:
    story = Story()
    story.hold(story.propose("halt"))
    story.start(story.propose("sleep 900"))
    assert line(story, "Waiting") == "halt; to be approved by another admin or approver, asked by ana at 10:02"
    assert line(story, "Running") == "sleep 900; no approval was needed; root; asked by ana at 10:02"
    assert line(story, "Outcome") == "the session is still open; open: halt waiting, sleep running"
    assert line(story, "Time").endswith("so far")


# -- commands and names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("df -h /var", "df -h /var"),
        ("find /srv -name 'd*' -delete", "find /srv -name 'd*' -delete"),
        ('grep "No space" /var/log/syslog', 'grep "No space" /var/log/syslog'),
        ("df -h; rm x", "sh -c 'df -h; rm x'"),
        ("A=b ls", "sh -c 'A=b ls'"),
        ("ls $HOME", "sh -c 'ls $HOME'"),
        ("ls *", "sh -c 'ls *'"),
        ("ls ~", "sh -c 'ls ~'"),
        ('echo "$x"', "sh -c 'echo \"$x\"'"),
        ("ls\nrm x", "sh -c 'ls"),
        ("ls #x", "sh -c 'ls #x'"),
        ("", "sh -c ''"),
    ],
)
def test_a_script_of_one_plain_command_is_shown_as_that_command(script: str, shown: str) -> None:
    story = Story()
    assert wording.line(story.propose(script, script=True).says(ActionProposed)).startswith(shown)


def test_two_members_of_one_name_are_told_apart() -> None:
    workspace = Workspace()
    sam, lee = workspace.roster.members["m-sam"], workspace.roster.members["m-lee"]
    workspace.roster.members["m-lee"] = structs.replace(lee, name=sam.name)
    story = Story(workspace=workspace)
    story.change("reboot", approve="lee")
    assert "approved by sam (m-lee)" in line(story, "Changed")


# -- verification -----------------------------------------------------------------------------------------


def test_a_change_after_the_last_passed_check_is_not_verified() -> None:
    story = Story()
    story.change("systemctl restart cups", approve="sam")
    story.check("systemctl is-active cups", out="active")
    assert "not passed a check since" not in line(story, "Outcome")
    story.change("systemctl stop cups", approve="sam")
    assert "what was changed has not passed a check since" in line(story, "Outcome")


def test_a_claim_that_the_record_contradicts_is_named() -> None:
    story = Story()
    story.check("lpstat -p", expect="is idle", out="disabled", claimed=True)
    story.close()
    assert line(story, "Verified").startswith(
        'lpstat -p, "is idle" in output: failed 10:02 (contradicted: recorded as passed) ("disabled")'
    )
    assert "1 check failed when last run" in line(story, "Outcome")


def test_a_word_is_no_measurement() -> None:
    story = Story()
    story.change("systemctl restart cups", approve="sam")
    story.attest("it prints again")
    story.close()
    assert line(story, "Verified") == (
        'reported, not measured: "it prints again" (ana, 10:02)\nno check has passed, no reason given'
    )
    assert "not passed a check since" in line(story, "Outcome")


def test_of_a_check_that_ran_often_first_and_last_are_told() -> None:
    story = Story()
    first = story.check("true", expect="ok")
    for _ in range(8):
        story.check("true", expect="ok", again=first)
    story.check("true", expect="ok", out="ok", again=first)
    assert line(story, "Verified").startswith('true, "ok" in output: failed 10:02 ("exit 0"), 5 more, failed')
    assert line(story, "Verified").endswith("passed 10:02")


# -- the record's state -----------------------------------------------------------------------------------


def test_a_session_whose_end_is_not_attested_is_open() -> None:
    story = Story()
    story.close(attested=False)
    assert "(2 records, open)" in story.text()


def test_of_a_bad_record_only_what_stands_before_it_is_told() -> None:
    story = printer()
    at = next(n for n, each in enumerate(story.entries) if b'"approval.denied"' in each.sealed.head)
    old = story.entries[at]
    body = (old.sealed.body or b"").replace(b"would delete", b"would keep..")
    story.entries[at] = Entry(Sealed(old.sealed.head, old.sealed.sig, old.sealed.salt, body), old.receipt)
    said = story.text()
    assert f"(bad at {at + 1}: " in " ".join(said.split())
    assert "Changed:  nothing" in said
    assert "Proposed: rm -rf /var/spool/cups" in said
    assert "what became of it is not told" in " ".join(said.split())
    assert line(story, "Outcome") == f"not known: told up to record {at}, before the bad one"
    assert not re.search(r"still open|Waiting|so far|Running", said)


def test_a_dropped_end_is_bad() -> None:
    story = printer()
    story.entries.pop()
    assert "bad at 45: it is missing: a signed checkpoint counts 45 records" in " ".join(story.text().split())


def test_a_record_that_may_not_stand_there_is_bad_whatever_the_report_says() -> None:
    story = Story()
    story.observe()
    story.write("endpoint.observed", b"", "ana", checked=False, withheld=True)
    note = write_note(story.transcript(), Report(State.OPEN, 3))
    assert "bad at 3: it is not written by the session's endpoint" in note.title


def test_what_is_withheld_is_said_and_the_rest_is_told() -> None:
    story = Story()
    action = story.propose("cat /etc/shadow", withheld=True)
    hold = story.hold(action)
    story.refuse(hold, "sam", reason="no", withheld=True)
    story.close()
    assert line(story, "Denied") == "a command (withheld); by sam after 1 s: (withheld)"
    assert line(story, "Record") == "2 bodies withheld"
