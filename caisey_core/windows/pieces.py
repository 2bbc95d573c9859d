"""The smallest pieces of PowerShell that are understood: patterns, values, and lists of what only computes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Text:
    """A literal; `bare`: without quotes."""

    text: str
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """Several values."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """A table, its keys in lower case."""

    entries: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """The full path of something that Windows lists in or below these places."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A script block; the commands in it are listed beside those around it."""


BLOCK: Final = Block()


class Passed:
    """What a pipeline passes on, or one of it; `caisey_core.windows.steps.Output` says which pipeline."""

    __slots__ = ()


Value = Text | Items | Fields | Listed | Passed | Block | None
"""None: it is known only when it runs."""


def _of(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


def names_of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_END: Final = r"(?=[\s|;)}]|\Z)"
BLANK: Final = _of(r"[ \t]*")
BLANK_SOME: Final = _of(r"[ \t]+")
SPACE: Final = _of(r"[ \t\n]*")
BETWEEN: Final = _of(r"[ \t\n;]+")
COMMENT: Final = _of(r"#(?!requires)[^\n]*")
PIPE: Final = _of(r"\|(?!\|)[ \t\n]*")
COMMA: Final = _of(r"[ \t]*,[ \t\n]*")
OPEN_PAREN: Final = _of(r"\(")
OPEN_BLOCK: Final = _of(r"[ \t\n]*\{")
IF: Final = _of(r"if[ \t]*(?=\()")
ELSE: Final = _of(r"[ \t\n]*(elseif[ \t]*(?=\()|else(?=[ \t\n]*\{))")
FOREACH: Final = _of(r"foreach[ \t]*(?=\()")
WHILE: Final = _of(r"while[ \t]*(?=\()")
COUNTED: Final = _of(
    r"for[ \t]*\([ \t]*\$([a-z][a-z0-9_]*)[ \t]*=[ \t]*\d+[ \t]*;[ \t]*\$\1[ \t]*-(?:lt|le|gt|ge)[ \t]*"
    r"(?:\d+|\$[a-z][a-z0-9_]*(?:\.(?:count|length))?)[ \t]*;[ \t]*\$\1(?:\+\+|--)[ \t]*\)"
)
DO: Final = _of(r"do(?=[ \t\n]*\{)")
DO_WHILE: Final = _of(r"[ \t\n]*(?:while|until)[ \t]*\([ \t]*")
SWITCH: Final = _of(r"switch(?:[ \t]+-(?:regex|wildcard|exact|casesensitive))*[ \t]*(?=\()")
LABEL: Final = _of(r"'(?:[^'\n]|'')*'(?=[ \t\n]*\{)|[a-z0-9_]+(?=[ \t\n]*\{)")
CLOSE_SWITCH: Final = _of(r"[ \t\n;]*\}")
COMPOUND: Final = _of(r"(?:if|foreach|while|switch)[ \t]*\(|switch[ \t]+-")
"""A statement whose output may be kept in a variable."""
TRY: Final = _of(r"try(?=[ \t\n]*\{)")
CATCH: Final = _of(r"[ \t\n]*(?:catch|finally)(?=[ \t\n]*\{)")
LOOP_VARIABLE: Final = _of(r"\([ \t]*\$([a-z][a-z0-9_]*)[ \t]+in[ \t]+")
ASSIGNMENT: Final = _of(r"(?:\[([a-z][a-z0-9.]*)\][ \t]*)?\$([a-z][a-z0-9_]*)[ \t]*([-+]?)=(?!=)[ \t\n]*")
STEERING: Final = _of(
    r".*preference|ps(?:bound|cmdlet|command|culture|debug|default|edition|email|home|item|module|native|script|sender|session"
    r"|style|uiculture|version|log|console).*|ofs|outputencoding|error|errorview|maximum.*count|log(?:command|engine|provider).*"
    r"|formatenumerationlimit|input|args|this|home|host|pid|profile|pwd|myinvocation|matches|true|false|null|stacktrace"
    r"|event|eventargs|eventsubscriber|sender|foreach|switch|nestedpromptlevel|executioncontext|shellid"
    r"|is(?:linux|macos|windows|coreclr)|consolefilename|currentlyexecutingcommand|env|transcript|enabledexperimentalfeatures"
    r"|reporterrorshow.*|_"
)
"""Variables that steer PowerShell or that it sets by itself."""
NAME: Final = _of(
    r"(?:c:\\windows\\(?:system32|sysnative)\\)?"
    rf"(?!(?:if|else|elseif|foreach|for|while|do|switch|function|filter|class|enum|try|catch|finally|trap|throw|return|exit|break"
    rf"|continue|param|begin|process|end|data|using|in|until|workflow|parallel|sequence|dynamicparam|define|var|hidden"
    rf"|static|interface|module|namespace|public|private|command|configuration|inlinescript|clean){_END})"
    rf"[a-z][a-z0-9_]*(?:-[a-z0-9_]+)*(?:\.exe|\.com)?{_END}"
)
FOREACH_NAME: Final = _of(r"foreach(?=[ \t\n]*\{)")
SIGN_NAME: Final = _of(r"[%?](?=[ \t\n{])")
PARAMETER: Final = _of(rf"-([a-z_?][a-z0-9_]*)(?:(:)|{_END})")
BARE: Final = _of(r"(?:\.(?!\.?[\s(])|[a-z0-9_\\/:*?+~%^=!-]|\.\.?(?=[\s|;,)}\\/]|\Z))[a-z0-9_.\\/:*?+~%^=!\[\]@#-]*")
LEAD: Final = _of(r"/[a-z]+:")
"""An option of a program, whose value stands in quotes."""
PATH_REST: Final = _of(r"[\\/][a-z0-9_.\\/*?~-]*")
HARMLESS_REDIRECT: Final = _of(rf"[1-6*]?>[ \t]*\$null{_END}|2>&1{_END}")
SPLAT: Final = _of(rf"@([a-z][a-z0-9_]*){_END}")
FILTERED: Final = names_of(
    "get-mailbox get-exomailbox get-recipient get-exorecipient get-user get-group get-distributiongroup get-casmailbox"
    " get-exocasmailbox get-unifiedgroup get-mailuser get-mailcontact get-contact get-dynamicdistributiongroup"
    " get-mobiledevice get-publicfolder get-mailpublicfolder"
)
"""Commands whose `-Filter {...}` is a text, beside those of the directory."""
FILTER_BLOCK: Final = _of(r"\{((?:[^{}()`&|<>;@$\n]|@(?![({])|\$[a-z][a-z0-9_]*\b(?![:({]))*)\}")
"""A variable in it is looked up, and no more."""

# -- expressions

NUMBER: Final = _of(r"(?:0x[0-9a-f]+|\d+(?:\.\d+)?(?:e[+-]?\d{1,3})?)(?:[kmgtp]b)?(?![\w.]*\w)|\d+(?=\.\.)")
SINGLE: Final = _of(r"'((?:[^'\n]|'')*)'(?!')")
QUOTE: Final = _of(r'"(?!")')
IN_DOUBLE: Final = _of(r'(?:[^"`$\n]|""|\$(?=[ "]))+')
SUBEXPRESSION: Final = _of(r"\$\(")
ENVIRONMENT: Final = _of(r"\$env:([a-z_][a-z0-9_]*)")
VARIABLE: Final = _of(r"\$([a-z_][a-z0-9_]*)(?!:)(?![\w])")
PURE_CALL: Final = _of(
    r"\.gettype\([ \t]*\)|\.replace\((?:'[^'\n]*'|\"[^\"`$\n]*\")[ \t]*,[ \t]*(?:''|\"\")[ \t]*\)"
    r"|\.(?:tostring|tolower|toupper|trim)\([^()\n]*\)\.replace\((?:'[^'\n]*'|\"[^\"`$\n]*\")[ \t]*,[ \t]*"
    r"(?:'[^'\n]*'|\"[^\"`$\n]*\")[ \t]*\)"
)
"""Calls that only compute as they are written. A file's `Replace` refuses a backup without a name."""
MEMBER: Final = _of(r"\.([a-z_][a-z0-9_]*)(\()?")
NAMED_MEMBER: Final = _of(r"\.(?:'[^'\n]*'|\"[^\"`$\n]*\"|\$[a-z_][a-z0-9_]*(?![\w:]))(?![('\"])")
"""A property whose name stands in quotes or in a variable; no method is called."""
EACH_METHOD: Final = _of(r"\.(?:where|foreach)[ \t]*(\()?[ \t\n]*(?=\{)")
CLOSE_PAREN: Final = _of(r"[ \t\n]*\)")
OWN_PATH: Final = _of(r"\.(?:fullname|pspath)")
BELOW: Final = _of(r"(?:\\(?!\.\.)[a-z0-9_ .()-]+)*\"(?!\")")
ESCAPED: Final = _of('`[nrt"$`]')
CLOSE_INDEX: Final = _of(r"[ \t]*\]")
LIST_OPEN: Final = _of(r"@\([ \t\n]*")
TABLE_OPEN: Final = _of(r"@\{")
KEY: Final = _of(r"(?:([a-z_][a-z0-9_]*)|'([^'\n]*)'|\"([^\"`$\n]*)\")[ \t]*=[ \t\n]*")
TYPE: Final = _of(r"\[([a-z][a-z0-9.]*)\](?!\[[^a-z])")
STATIC: Final = _of(r"::([a-z][a-z0-9]*)(\()?")
_WORDS: Final = names_of(
    "eq ne gt ge lt le like notlike match notmatch contains notcontains in notin is isnot as replace split join f"
    " band bor bxor shl shr"
)
OPERATOR: Final = _of(
    r"-(?:and|or|xor|"
    + "|".join(f"[ci]?{word}" for word in _WORDS)
    + r")(?![\w-])|\.\.|[+*/%](?![+*/%=])|-(?![\w=-])|,"
)
UNARY: Final = _of(r"(?:-(?:not|split|join)(?![\w-])|!|[-+](?![-+a-z=]))[ \t]*")

TYPES: Final = names_of(
    "int int32 int64 long uint32 uint64 double decimal single float string datetime timespan bool char version guid"
    " array pscustomobject ordered byte ipaddress string[] xml guid net.ipaddress hashtable"
    " security.principal.windowsprincipal"
)
STATICS: Final = frozenset(
    {("math", name, True) for name in names_of("round floor ceiling truncate abs max min pow sqrt")}
    | {("datetime", name, False) for name in ("now", "today", "utcnow", "maxvalue", "minvalue")}
    | {
        ("environment", name, False)
        for name in names_of(
            "osversion machinename username userdomainname version is64bitoperatingsystem is64bitprocess"
            " processorcount systemdirectory tickcount newline"
        )
    }
    | {("timespan", name, True) for name in ("fromseconds", "fromminutes", "fromhours", "fromdays", "frommilliseconds")}
    | {("string", name, True) for name in ("join", "format", "isnullorempty", "isnullorwhitespace")}
    | {("net.dns", "gethostname", True), ("io.driveinfo", "getdrives", True)}
    | {("security.principal.windowsidentity", "getcurrent", True)}
    | {
        ("datetime", name, True)
        for name in names_of("daysinmonth fromfiletime fromfiletimeutc isleapyear parse parseexact fromoadate")
    }
    | {("management.managementdatetimeconverter", "todatetime", True), ("guid", "newguid", True)}
    | {("timespan", "parse", True), ("version", "parse", True), ("bitconverter", "tostring", True)}
    | {("io.path", name, True) for name in names_of("getfilename getextension getfilenamewithoutextension combine")}
    | {("io.path", "getdirectoryname", True), ("string", "concat", True), ("string", "empty", False)}
    | {("convert", name, True) for name in names_of("toint32 toint64 tostring todatetime todouble")}
    | {(name, one, False) for name in ("text.encoding", "encoding") for one in names_of("ascii utf8 unicode default")}
    | {("net.servicepointmanager", "securityprotocol", False)}
    | {
        ("timezoneinfo", "local", False),
        ("net.networkinformation.networkinterface", "getallnetworkinterfaces", True),
        ("net.networkinformation.networkinterface", "getisnetworkavailable", True),
        ("net.networkinformation.ipglobalproperties", "getipglobalproperties", True),
        ("intptr", "size", False),
        ("globalization.cultureinfo", "currentculture", False),
    }
    | {
        ("security.principal.windowsbuiltinrole", name, False)
        for name in names_of("administrator user guest poweruser backupoperator")
    }
    | {
        ("directoryservices.activedirectory.domain", "getcurrentdomain", True),
        ("directoryservices.activedirectory.domain", "getcomputerdomain", True),
        ("directoryservices.activedirectory.forest", "getcurrentforest", True),
        ("directoryservices.activedirectory.activedirectorysite", "getcomputersite", True),
    }
    | {("datetimeoffset", name, True) for name in names_of("fromunixtimeseconds fromunixtimemilliseconds parse")}
    | {(name, one, True) for name in ("regex", "text.regularexpressions.regex") for one in names_of("escape")}
)
"""Static members that only compute."""
METHODS: Final = names_of(
    "adddays addhours addminutes addmonths addseconds addyears addmilliseconds tostring touniversaltime tolocaltime"
    " toshortdatestring tolongdatestring toshorttimestring tolongtimestring trim trimstart trimend tolower toupper"
    " converttodatetime split substring startswith endswith contains indexof lastindexof padleft padright"
    " subtract tofiletime getstring isinrole equals compareto toxml selectnodes selectsinglenode getenumerator"
    " containskey tochararray tolowerinvariant toupperinvariant getowner getownersid getfiles getdirectories"
    " getlastresult getlaststate gettasksessions getactivetcplisteners getactivetcpconnections"
    " getactiveudplisteners getipproperties getphysicaladdress getipv4statistics getvalue"
    " getvaluenames getsubkeynames toshortstring"
    " createupdatesearcher search gettotalhistorycount queryhistory"
)
"""Methods that only compute, whatever object has them."""

_USER: Final = "C:/Users/x"
KNOWN: Final[dict[str, Text]] = {
    name: Text(text)
    for name, text in {
        "$home": _USER,
        "$env:userprofile": _USER,
        "$env:homepath": "/Users/x",
        "$env:homedrive": "C:",
        "$env:temp": f"{_USER}/AppData/Local/Temp",
        "$env:tmp": f"{_USER}/AppData/Local/Temp",
        "$env:appdata": f"{_USER}/AppData/Roaming",
        "$env:localappdata": f"{_USER}/AppData/Local",
        "$env:windir": "C:/Windows",
        "$env:systemroot": "C:/Windows",
        "$env:systemdrive": "C:",
        "$env:programdata": "C:/ProgramData",
        "$env:allusersprofile": "C:/ProgramData",
        "$env:public": "C:/Users/Public",
        "$env:programfiles": "C:/Program Files",
        "$env:computername": "localhost",
    }.items()
}
"""Variables by what they stand for when a path is looked at."""
OWN_NAME: Final = _of(r"\$env:computername\b")
HARMLESS_ENVIRONMENT: Final = names_of(
    "path pathext username userdomain userdnsdomain logonserver processor_architecture number_of_processors os comspec"
    " sessionname psmodulepath processor_identifier processor_level processor_revision clientname"
)
