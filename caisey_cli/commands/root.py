"""The workspace's root key: `root backup` puts a copy where its owner says, `root remove` takes it out of the home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from caisey_cli import asking
from caisey_cli.commands import HomeOption, JsonOption
from caisey_cli.commands.options import PassphraseOption
from caisey_cli.home import ROOT, Home
from caisey_cli.keeping import (
    backup_of,
    new_passphrase,
    remember_backup,
    root_key,
    say_safe,
    write_backup,
)
from caisey_cli.output import as_json, data, say
from caisey_core.errors import UsageError


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    root = typer.Typer(rich_markup_mode=None, help="The workspace's root key: its backup, and where it lies.")
    root.command("backup")(root_backup)
    root.command("remove")(root_remove)
    app.add_typer(root, name="root")


def root_backup(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A new file, such as one on a USB stick.")],
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Write the root key to a file under a passphrase, and read it back; never writes over one.

    Example: caisey root backup /media/stick/example-msp.root
    """
    from caisey_core import keyfile

    own = Home.of(home)
    workspace = own.membership().workspace
    root = root_key(own, None)
    where = path.expanduser().absolute()
    keyfile.free(where)
    if passphrase_file is not None:
        passphrase = asking.passphrase_in(passphrase_file)
    elif asking.attended():
        passphrase = new_passphrase(where)
    else:
        raise UsageError(
            "No passphrase was given; nothing was written.",
            hint="Type it at a terminal, or name a file that holds it: --passphrase-file FILE",
        )
    write_backup(own, root, where, passphrase)
    if json:
        as_json("root_backup", {"path": str(where), "root": workspace})
    else:
        data(f"root       {workspace}")
        data(f"backup     {where}")
        say_safe(where)


def root_remove(
    backup: Annotated[
        Path | None,
        typer.Option("--backup", metavar="FILE", help="Its backup, opened first; else the one last written."),
    ] = None,
    passphrase_file: PassphraseOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Take the root key out of this home, once its backup has been opened and holds the same key.

    Members are then invited with --root FILE.

    Example: caisey root remove --backup /media/stick/example-msp.root
    """
    from caisey_core import keyfile, keys

    own = Home.of(home)
    workspace = own.membership().workspace
    own.root()
    known = backup_of(own)
    if backup is None and known is None:
        raise UsageError(
            "No backup of the root key is known; the key stays where it is.", hint="Type: caisey root backup PATH"
        )
    where = (backup if backup is not None else Path(known.path if known else "")).expanduser().absolute()
    if where.is_relative_to(own.path.resolve()):
        raise UsageError(
            f"{where} lies in this home itself; the key stays where it is.", hint="Keep the backup on another medium."
        )
    keyfile.unlock_as(where, asking.passphrase(where, passphrase_file), workspace)
    remember_backup(own, where, workspace)
    try:
        keys.forget(own.path, ROOT, sure=True)
    except OSError as error:
        raise UsageError(f"The root key is still in {own.path}: {error.strerror}.") from error
    if json:
        as_json("root_removed", {"backup": str(where), "root": workspace})
        return
    data(f"root       {workspace}")
    data(f"backup     {where}")
    say("The root key is no longer in this home. To invite a member, with the backup at hand:")
    say(f"  caisey invite member --name NAME --role technician --clients CLIENT --root {where}")
