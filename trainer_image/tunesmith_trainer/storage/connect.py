"""Object stores from the environment: the providers' own variables, custom endpoints and AWS profiles."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from tunesmith_api.protocol import Failure, Reason
from tunesmith_trainer.storage.errors import VARIABLES, brief

ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_IN_THE_ENVIRONMENT = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{2,221}")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9._\[\]:-]+(/[^\s?#]*)?")
_RETRY = {"max_retries": 4, "retry_timeout": timedelta(seconds=15)}
_TIMEOUTS = {"connect_timeout": timedelta(seconds=5), "read_timeout": timedelta(seconds=25), "timeout": timedelta(days=1)}
"""A dead endpoint is reported within half a minute; the size of an object is no reason to give up on it."""


def connect(scheme: str, bucket: str, environ: Mapping[str, str] | None = None) -> Any:
    """The obstore store of one bucket."""
    uri, environment = f"{scheme}://{bucket}", os.environ if environ is None else environ
    if not _BUCKET.fullmatch(bucket):
        raise Failure(
            Reason.INVALID_SPEC, f"{uri}: {bucket!r} is no name of a bucket", "Use 3 to 222 letters, digits, dots, dashes and underscores."
        )
    try:
        return _OPEN[scheme](bucket, environment)
    except (BaseError, OSError, ValueError) as error:
        raise Failure(Reason.STORAGE_DENIED, f"{uri}: cannot be opened: {brief(str(error))}", f"Check {VARIABLES[scheme]}.") from error


def _s3(bucket: str, environ: Mapping[str, str]) -> Any:
    profile: dict[str, Any] = {} if any(environ.get(name) for name in _IN_THE_ENVIRONMENT) else _aws_profile(bucket, environ)
    endpoint = _endpoint("s3", environ) or profile.pop("endpoint", None)
    profile.pop("endpoint", None)
    return S3Store(bucket, **_options(endpoint, environ), **({"endpoint": endpoint} if endpoint else {}), **profile)


def _gs(bucket: str, environ: Mapping[str, str]) -> Any:
    return GCSStore(bucket, **_options(_endpoint("gs", environ), environ))


def _az(bucket: str, environ: Mapping[str, str]) -> Any:
    return AzureStore(bucket, **_options(_endpoint("az", environ), environ))


_OPEN: dict[str, Callable[[str, Mapping[str, str]], Any]] = {"s3": _s3, "gs": _gs, "az": _az}


def _endpoint(scheme: str, environ: Mapping[str, str]) -> str | None:
    """The endpoint that the environment names; the store's client would panic on one that is no URL."""
    name = next((name for name in ENDPOINTS[scheme] if environ.get(name)), None)
    if name is None:
        return None
    if not _ENDPOINT.fullmatch(environ[name]):
        raise Failure(Reason.STORAGE_DENIED, f"{name}: {environ[name]!r} is no URL of a store", "Write http://HOST:PORT or https://HOST.")
    return environ[name]


def _options(endpoint: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    client: dict[str, Any] = dict(_TIMEOUTS)
    if endpoint and endpoint.startswith("http://"):
        client["allow_http"] = True
    if bundle := environ.get("AWS_CA_BUNDLE") or environ.get("SSL_CERT_FILE"):
        client["root_certificate"] = Path(bundle).read_bytes()
    return {"client_options": client, "retry_config": _RETRY}


def _aws_profile(bucket: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Credentials, region and endpoint as the AWS tools find them: profiles, SSO, the instance's role."""
    import boto3
    import botocore.session
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    remedy = f"Set {VARIABLES['s3']}."
    try:
        core = botocore.session.Session(profile=environ.get("AWS_PROFILE") or None)
        session, settings = boto3.Session(botocore_session=core), core.get_scoped_config()
        if session.get_credentials() is None:
            raise Failure(Reason.STORAGE_DENIED, f"s3://{bucket}: no AWS credentials: no variables, no profile, no instance role", remedy)
        provider = Boto3CredentialProvider(session)
    except BotoCoreError as error:
        raise Failure(Reason.STORAGE_DENIED, f"s3://{bucket}: AWS profile: {error}", remedy) from error
    endpoint = {"endpoint": settings["endpoint_url"]} if "endpoint_url" in settings else {}
    return {"credential_provider": provider, **endpoint}
