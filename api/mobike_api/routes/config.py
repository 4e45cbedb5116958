"""The configuration: what is in force, what an edit would do, doing it, and taking it back."""

from collections.abc import Awaitable, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from mobike.facade.books import Scope
from mobike.facade.configuration import Author, Edit, FlawView, Invalid, NewCredential, PlanView
from mobike_api.caller import caller_of
from mobike_api.deps import FacadeDep
from mobike_api.problems import ApiProblem, FieldError, Kind, pointer_to
from mobike_api.schemas_config import (
    ChangesQuery,
    ConfigOrder,
    ConfigPlan,
    ConfigState,
    CredentialOrder,
    RevisionPath,
    RevisionQuery,
    Revisions,
    RollbackOrder,
)
from mobike_api.scopes import needs

router = APIRouter(prefix="/config", tags=["Configuration"])

NOT_VALID: Final = Kind("invalid-configuration", "The configuration cannot be in force", 422)


@router.get("", summary="Show which configuration is in force")
@needs(Scope.READ)
async def show_config(facade: FacadeDep) -> ConfigState:
    """Its revision, whether it waits for a confirmation, and what of the files is not obeyed before a restart."""
    return ConfigState.model_validate(facade.configuration.state())


@router.post("/plan", summary="Say what an edit would do")
@needs(Scope.CONFIGURE)
async def plan_config(facade: FacadeDep, order: ConfigOrder) -> ConfigPlan:
    """Which connections would come, change and go, and what would become of their IKE SAs. Nothing changes."""
    return await told(facade.configuration.plan(_edit(order), keep=order.keep), "connections")


@router.post("/apply", summary="Apply an edit")
@needs(Scope.CONFIGURE)
async def apply_config(facade: FacadeDep, request: Request, order: ConfigOrder) -> ConfigPlan:
    """All of it or nothing: what is wrong with it is answered, and then nothing has changed."""
    applied = facade.configuration.apply(_edit(order), author(request), keep=order.keep, confirm_s=order.confirm_s)
    return await told(applied, "connections")


@router.post("/confirm", summary="Keep what waits for a confirmation")
@needs(Scope.CONFIGURE)
async def confirm_config(facade: FacadeDep, request: Request) -> ConfigState:
    """It stays, whatever time was left."""
    return ConfigState.model_validate(await facade.configuration.confirm(author(request)))


@router.post("/rollback", summary="Bring an earlier revision back")
@needs(Scope.CONFIGURE)
async def rollback_config(facade: FacadeDep, request: Request, order: RollbackOrder) -> ConfigPlan:
    """As a new revision. The files are not written to: until they say something else, or are read again by order, what
    they said then is in force."""
    back = facade.configuration.rollback(order.revision, author(request), keep=order.keep)
    return await told(back)


@router.get("/revisions", summary="List configurations that were in force")
@needs(Scope.READ)
async def list_revisions(facade: FacadeDep, query: Annotated[RevisionQuery, Query()]) -> Revisions:
    """Newest first: who wanted each, when, and what it changed."""
    return Revisions.model_validate(facade.configuration.revisions(before=query.before, limit=query.limit))


@router.get("/revisions/{revision}/changes", summary="Compare two configurations that were in force")
@needs(Scope.READ)
async def compare_revisions(
    facade: FacadeDep, revision: RevisionPath, query: Annotated[ChangesQuery, Query()]
) -> ConfigPlan:
    """What this one says otherwise than another. With the revision in force as `since`, that is what bringing this one
    back would do. Files that keys name are read as they are now."""
    return await told(facade.configuration.changes(revision, since=query.since))


def author(request: Request) -> Author:
    """Who asks."""
    caller = caller_of(request.scope)
    return Author(f"{caller.name}, from {caller.address}", "api")


async def told(done: Awaitable[PlanView], *root: str, named: bool = True, of_credential: bool = False) -> ConfigPlan:
    """What an edit does. `root`: where in the body connections are; `named`: under their names. `of_credential`: the
    body is one of these."""
    try:
        return ConfigPlan.model_validate(await done)
    except Invalid as problem:
        errors = [_error(flaw, root, named=named, of_credential=of_credential) for flaw in problem.flaws]
        raise ApiProblem(NOT_VALID, str(problem), errors=errors) from None


def _edit(order: ConfigOrder) -> Edit:
    credentials = {name: None if new is None else new_credential(new) for name, new in order.credentials.items()}
    return Edit(order.reload, order.connections, credentials=credentials)


def new_credential(order: CredentialOrder) -> NewCredential:
    """As it was sent."""
    return NewCredential(order.kind, order.content.get_secret_value())


def _error(flaw: FlawView, root: Sequence[str], *, named: bool, of_credential: bool) -> FieldError:
    if flaw.credential is not None:
        within: tuple[str | int, ...] = ("credentials", flaw.credential) if named else ()
    elif flaw.connection is not None and (named or not of_credential):
        within = (*root, flaw.connection) if named else tuple(root)
    else:
        return FieldError(detail=str(flaw))
    return FieldError(detail=str(flaw), pointer=pointer_to((*within, *flaw.within)))
