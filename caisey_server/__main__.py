"""`caisey-server`: runs the relay, or tells from its home what it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from caisey_core import logs
from caisey_core.logs import Format, Level, Teller

app = typer.Typer(
    help="The relay of Caisey: admits, puts in order, keeps and fans out records.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="CAISEY_SERVER_HOME",
        help="Where the relay keeps its key and its journal.",
    ),
]
_HOME = Path("~/.local/share/caisey-server")


@app.command(epilog="Example: caisey-server run --port 7777")
def run(
    home: HomeOption = _HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any.", min=0, max=65535)] = 7777,
    ready_file: Annotated[Path | None, typer.Option(help="Gets the relay's address once it answers.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).")] = None,
    plain_text_on: Annotated[str, typer.Option(help="The host on which plain text is meant.")] = "",
    metrics_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Serve metrics for Prometheus here, and only here.")
    ] = "",
    log_format: Annotated[Format, typer.Option(help="Lines for people, or one JSON object a line.")] = Format.TEXT,
    log_level: Annotated[Level, typer.Option(help="From which level on lines are written.")] = Level.WARNING,
    log_file: Annotated[
        Path | None, typer.Option(help="Gets the lines, instead of stderr; at most twice 128 KiB are kept.")
    ] = None,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored",
            help="Its journal was put back from a backup: take back from members and agents what is lost. Once.",
        ),
    ] = False,
) -> None:
    """Run the relay until it is told to stop."""
    from caisey_core.errors import CaiseyError
    from caisey_server.serve import Listen, serve

    listen = Listen(host, port, ready_file, tls_cert, tls_key, plain_text_on, metrics_listen)
    try:
        logs.set_up(log_format, log_level, log_file)
        serve(home.expanduser(), listen, restored=restored)
    except CaiseyError as error:
        if logs.structured():
            Teller(__name__).error("relay.failed", f"{error} {error.hint}".strip())
            raise typer.Exit(error.exit_code) from error
        print(f"{error} {error.hint}".strip(), file=sys.stderr)
        raise typer.Exit(error.exit_code) from error


@app.command(epilog="Example: caisey-server status --json")
def status(
    home: HomeOption = _HOME,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Tell from the home, without the relay, which relay it is and how much it keeps."""
    import json

    from caisey_core.errors import CaiseyError
    from caisey_server.serve import inspect

    try:
        found = inspect(home.expanduser())
    except CaiseyError as error:
        print(f"{error} {error.hint}".strip(), file=sys.stderr)
        raise typer.Exit(error.exit_code) from error
    if as_json:
        print(json.dumps(found))
    else:
        print(f"relay      {found['relay']}")
        print(f"workspace  {found['workspace'] or 'none yet'}")
        print(f"records    {found['records']}")
        if found["restored"]:
            print(f"restored   from a backup; {found['repairable']} logs open to repair")


@app.command(epilog="Example: caisey-server doctor --tls-cert cert.pem --tls-key key.pem")
def doctor(
    home: HomeOption = _HOME,
    tls_cert: Annotated[Path | None, typer.Option(help="The certificate the relay is started with.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check the relay's home, key, journal, roster and certificate, and say what to type; changes nothing."""
    import json

    from caisey_core.checkup import examine, healthy
    from caisey_server.doctor import checks

    tls = (tls_cert, tls_key) if tls_cert is not None and tls_key is not None else None
    found = []
    for each in examine(checks(home.expanduser(), tls)):
        found.append(each)
        if not as_json:
            print(each.line())
    if as_json:
        shapes = [each.shape() for each in found]
        print(json.dumps({"v": 1, "kind": "server.doctor", "ok": healthy(found), "checks": shapes}))
    if not healthy(found):
        raise typer.Exit(1)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
