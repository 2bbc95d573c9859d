"""The grammar of `sh` and bash: parsing within bounds, and which spellings of its nodes are believed.

A parser of someone else's is fast on honest scripts and slow on others, and generous in what it accepts. Both are
dealt with here: what is too much for it is not given to it, and what it makes of the rest counts only where one strict
pattern agrees. `caisey_core.shell` reads its nodes by these.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

SCRIPT_LIMIT: Final = 8 * 1024
"""Bytes of the longest script that is taken apart; a longer one is a doubt as a whole."""
WORD_LIMIT: Final = 1024
"""How many words a script may have, each of which is looked at as a path."""
_CHUNK: Final = 64


def too_much(source: bytes) -> str:
    """Why a script is not given to the parser; empty where it is."""
    if len(source) > SCRIPT_LIMIT:
        return f"It is longer than {SCRIPT_LIMIT} bytes."
    if len(source.split(None, WORD_LIMIT)) > WORD_LIMIT:
        return "It has too many words to be taken apart in time."
    if any(source.count(sign) > most for sign, most in _ENTANGLING):
        return "It is too entangled to be taken apart in time."
    return ""


_ENTANGLING: Final = (
    (b"|", 200),
    (b"${", 100),
    (b"`", 40),
    (b"=(", 8),
    (b"<<", 20),
    (b"[[", 40),
    (b"[", 400),
    (b")", 400),
    (b"<", 200),
)
"""Signs on which the grammar takes more than linear time when there are many of them."""


def parse(source: bytes) -> Node:
    """Parse, and give up on a script that makes the parser go back over it again and again.

    The parser asks for its input in chunks. It is told that the input has ended when it has asked too often,
    which is the same on every machine, and has an error then.
    """
    left = 40 + 8 * (len(source) // _CHUNK)

    def chunk(offset: int, _: object) -> bytes:
        nonlocal left
        left -= 1
        return source[offset : offset + _CHUNK] if left > 0 else b""

    root = _parser().parse(chunk).root_node
    return root if left > 0 else _parser().parse(b"(").root_node


@cache
def _parser() -> Parser:
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


# -- what is believed of tree-sitter's nodes ------------------------------------------------------------------

_SIMPLE_EXPANSION: Final = re.compile(rb"\$(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-])")
_EXPANSION: Final = re.compile(
    rb"\$\{(?:#?[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!-]|[A-Za-z_][A-Za-z0-9_]*(?::?-|%%?|##?)[A-Za-z0-9_./:,=+@*?-]*)\}"
)
_ARITHMETIC: Final = re.compile(rb"\$\(\([0-9 \t+*/%()<>-]*\)\)")
EXPANSIONS: Final = {
    "simple_expansion": _SIMPLE_EXPANSION,
    "expansion": _EXPANSION,
    "arithmetic_expansion": _ARITHMETIC,
}
BLANK: Final = re.compile(rb"(?:[ \t]|(?<=[ \t])\\\n|\\\n(?=[ \t]))*")
SPACE: Final = re.compile(rb"(?:[ \t\n]|(?<=[ \t\n])\\\n|\\\n(?=[ \t]))*")
DESCRIPTOR: Final = re.compile(r"[0-9]|-")
TESTED: Final = rb"(?:(?!-)[A-Za-z0-9_./:,@%+\0-]+|\"(?!-)[A-Za-z0-9_./:,@%+\0 -]*\")"
CONDITION: Final = rb"(?:![ \t]+)?(?:-[bcdefghkLprsSuwxz][ \t]+%b|-n[ \t]+%b|%b[ \t]+(?:==?|!=)[ \t]+%b)" % (
    (TESTED,) * 4
)
DOUBLE_TEST: Final = re.compile(rb"\[\[[ \t]+%b(?:[ \t]+(?:&&|\|\|)[ \t]+%b)*[ \t]+\]\]" % (CONDITION, CONDITION))
"""Tests in double brackets that compare texts or look at files; those that compute may run what a text holds."""
_WHOLE: Final = rb"(?:(?![-!])[A-Za-z0-9_./:,@%+-]+|\"[A-Za-z0-9_./:,@%+\0 -]*\")"
SINGLE_TEST: Final = re.compile(
    rb"\[[ \t]+(?:![ \t]+)?(?:-[bcdefghkLnprsSuwxz][ \t]+%b"
    rb"|%b[ \t]+(?:==?|!=|-(?:eq|ne|lt|le|gt|ge|nt|ot|ef))[ \t]+%b|%b)[ \t]+\]" % ((_WHOLE,) * 4)
)
"""Tests of which every operand stays one word, so that their number alone says what is tested (POSIX `test`)."""
USED: Final = re.compile(rb'(")?\$\{?((?<=\{)[a-z_][a-z0-9_]*(?=\})|(?<=\$)[a-z_][a-z0-9_]*)\}?(?(1)")')
PLAIN_WORD: Final = re.compile(rb"(?!-)[A-Za-z0-9_./:@%+,=-]+")
PLAIN_TEXT: Final = re.compile(r"[A-Za-z0-9_./:@%+,=-]+", re.ASCII)
PLAIN_PATTERN: Final = re.compile(r"[A-Za-z0-9_./:@%+,=*?-]+", re.ASCII)
KERNEL_NAMES: Final = re.compile(r"/(?:dev|proc)/[a-z0-9?*\[\]-]+|/sys/(?!.*\.\.)[a-z0-9_./?*-]+")
"""Patterns for files that nobody but the system names, so that none has a blank or begins like an option."""
_PROCESS: Final = rb"(?:%b|'%b'|\"%b\")" % (
    rb"[A-Za-z0-9_][A-Za-z0-9_./@-]*",
    *(rb"[A-Za-z0-9_][A-Za-z0-9_./@ -]*",) * 2,
)
ONE_NUMBER: Final = re.compile(rb"\$\$")
SOME_NUMBERS: Final = re.compile(
    rb"\$\((?:(?:pgrep(?: -[cfinoxv]+)*|pidof(?: -s)?) %b(?: 2>/dev/null)?(?: \| (?:head|tail) -(?:n ?)?1)?"
    rb"|nproc|id -u(?: %b)?|(?:docker|podman) ps(?: -a)? -a?qa?|seq(?: -w)?(?: [0-9]{1,9}){1,3})\)"
    % (_PROCESS, _PROCESS)
)
"""Substitutions that become numbers, or such as containers have, or nothing."""
_AGO: Final = rb"(?:-?[0-9]{1,4} (?:minute|hour|day|week|month)s?(?: ago)?|yesterday|today|tomorrow)"
_TIME: Final = rb"(?:%%[YmdHMSybBjseFT]|[A-Za-z0-9:/_.%b-])*"
_TIMES: Final = (_TIME % b"", *(_TIME % b" ",) * 4)
A_DATE: Final = re.compile(
    rb"\$\(date(?: -u)?(?: (?:-d|--date)[ =]?(?:'%b'|\"%b\"|yesterday|today|tomorrow))?"
    rb" (?:\+(%b)|'\+(%b)'|\"\+(%b)\"|\+'(%b)'|\+\"(%b)\")\)" % (_AGO, _AGO, *_TIMES)
)
"""Substitutions that become a date in a form whose every sign is known."""
A_PROGRAM: Final = re.compile(rb"\$\((?:which|command -v) ([A-Za-z0-9_][A-Za-z0-9_.+-]*)(?: 2>/dev/null)?\)")
"""A substitution that becomes where a program is, or nothing."""
A_RANGE: Final = re.compile(rb"((?!-)[A-Za-z0-9_./:-]*)\{[0-9]{1,9}\.\.[0-9]{1,9}\}([A-Za-z0-9_./:-]*)")
"""A word that becomes one for each number, to bash."""
LOWER_NAME: Final = re.compile(rb"[a-z_][a-z0-9_]*")
BACKTICK_UNSAFE: Final = re.compile(rb"""[\\"']""")
RESERVED: Final = re.compile(
    rb"!|\{|\}|\[\[|\]\]|case|coproc|do|done|elif|else|esac|fi|for|function|if|in|select|then|until|while"
)
WORD_NODE: Final = re.compile(
    "word|number|string|raw_string|concatenation|simple_expansion|expansion|command_substitution|"
    "arithmetic_expansion|process_substitution|ansi_c_string|translated_string|brace_expression|extglob_pattern"
)


# -- which tokens a node may have ------------------------------------------------------------------------------

TOKENS: Final[dict[str, frozenset[str]]] = {
    kind: frozenset(tokens.split(" "))
    for kind, tokens in {
        "program": "; & \n",
        "list": "&& ||",
        "pipeline": "| |&",
        "subshell": "( ) ; & \n",
        "compound_statement": "{ } ; & \n",
        "do_group": "do done ; & \n",
        "if_statement": "if then fi ; & \n",
        "elif_clause": "elif then ; & \n",
        "else_clause": "else ; & \n",
        "while_statement": "while until ; & \n",
        "negated_command": "!",
        "command_substitution": "$( ` ) ; & \n",
        "process_substitution": "<( >( ) ; & \n",
    }.items()
}
BEFORE_DESCRIPTOR: Final = (b"", b" ", b"\t", b"\n", b";", b"|", b"&", b"(", b")")
REDIRECTS: Final = frozenset({">", ">>", ">|", "<", ">&", "<&", ">&-", "<&-", "&>", "&>>"})
CLAUSES: Final = frozenset({"elif_clause", "else_clause"})
STATEMENTS: Final = frozenset({"command", "redirected_statement", "test_command", "variable_assignment"})
