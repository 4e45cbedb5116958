"""Credentials that the daemon keeps: they go in, sealed, and never come out."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from mobike.facade import NotFound
from mobike.facade.books import Scope
from mobike.facade.configuration import Edit
from mobike_api.deps import FacadeDep
from mobike_api.routes.config import author, new_credential, told
from mobike_api.schemas_config import (
    CREDENTIAL_NAME,
    ConfigPlan,
    Credential,
    CredentialOrder,
    Credentials,
    EditQuery,
)
from mobike_api.scopes import needs

router = APIRouter(prefix="/credentials", tags=["Configuration"])

Name = Annotated[str, Path(pattern=CREDENTIAL_NAME, description="A credential of the store.")]
Edits = Annotated[EditQuery, Query()]


@router.get("", summary="List credentials that the daemon keeps")
@needs(Scope.READ)
async def list_credentials(facade: FacadeDep) -> Credentials:
    """Kind, fingerprints, dates, and who uses each; never what it says."""
    return Credentials(items=tuple(map(Credential.model_validate, facade.configuration.credentials())))


@router.get("/{name}", summary="Show one credential")
@needs(Scope.READ)
async def show_credential(facade: FacadeDep, name: Name) -> Credential:
    """All but what it says."""
    found = next((each for each in facade.configuration.credentials() if each.name == name), None)
    if found is None:
        raise NotFound(f"there is no credential {name!r}")
    return Credential.model_validate(found)


@router.put("/{name}", summary="Make a credential, or replace it")
@needs(Scope.CONFIGURE)
async def put_credential(
    facade: FacadeDep, request: Request, name: Name, order: CredentialOrder, query: Edits
) -> ConfigPlan:
    """Connections of the store name it as `stored:NAME` where a file names a path (`psk_file = "stored:office"`). It is
    an edit of the configuration: planned, sealed in a revision, and taken back like any other."""
    edit = Edit(credentials={name: new_credential(order)})
    done = facade.configuration.apply(edit, author(request), keep=query.keep, confirm_s=query.confirm_s)
    return await told(done, named=False, of_credential=True)


@router.delete("/{name}", summary="Remove a credential")
@needs(Scope.CONFIGURE)
async def delete_credential(facade: FacadeDep, request: Request, name: Name, query: Edits) -> ConfigPlan:
    """One that no connection names; who names it is told. It goes from earlier revisions, too, as soon as this edit
    stays: a revision that names it comes back only once it is set anew."""
    edit = Edit(credentials={name: None})
    done = facade.configuration.apply(edit, author(request), keep=query.keep, confirm_s=query.confirm_s)
    return await told(done, named=False, of_credential=True)
