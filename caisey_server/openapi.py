"""Describes the HTTP API from the very types that encode it, so that the document cannot say anything else."""

from __future__ import annotations

from typing import Any, Final, TypedDict

import msgspec
from fastapi import FastAPI

from caisey_core import api

_TEMPLATE: Final = "#/components/schemas/{name}"
_SHAPES: Final = (
    api.RelayInfo,
    api.ChallengeIssued,
    api.LoginRequest,
    api.LoginAccepted,
    api.FoundRequest,
    api.Founded,
    api.JoinRequest,
    api.Admitted,
    api.Endpoints,
    api.Sessions,
    api.Pending,
    api.AuditLog,
    api.Records,
    api.CheckpointShape,
    api.Health,
    api.Problem,
)


class Documented(TypedDict):
    """What a route is told besides its function."""

    responses: dict[int | str, dict[str, Any]]
    openapi_extra: dict[str, Any]


def documented(
    gives: type[api.Shape], *statuses: int, takes: type[api.Shape] | None = None, many: bool = False
) -> Documented:
    """A route that answers with this shape (or an array of it), and with a problem otherwise."""
    content = _content(gives)
    if many:
        content["application/json"]["schema"] = {"type": "array", "items": content["application/json"]["schema"]}
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": (gives.__doc__ or "").strip(), "content": content} for status in (200, *statuses)
    }
    responses["default"] = {"description": "It was not done; why.", "content": _content(api.Problem)}
    extra: dict[str, Any] = {"requestBody": {"required": True, "content": _content(takes)}} if takes else {}
    return {"responses": responses, "openapi_extra": extra}


def describe(app: FastAPI) -> None:
    """Has the application's document carry the shapes' schemas."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        _, schemas = msgspec.json.schema_components(_SHAPES, ref_template=_TEMPLATE)
        document.setdefault("components", {})["schemas"] = schemas
        return document

    app.openapi = described  # type: ignore[method-assign]


def _content(shape: type[api.Shape]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _TEMPLATE.format(name=shape.__name__)}}}
