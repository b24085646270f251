"""What a store or a disk says when it cannot, turned into the reason, place and remedy that a person needs."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore import exceptions as obs

from tunesmith_api.protocol import Failure, Reason

VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), AWS_REGION and AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_TOKEN)",
}
_DENIED = (obs.PermissionDeniedError, obs.UnauthenticatedError)
_DENIED_SAID = re.compile(
    r"InvalidAccessKeyId|XAdminUserNotFound|SignatureDoesNotMatch|AccessDenied|ExpiredToken|InvalidToken|status code: 40[13]\b"
)
_BUCKET_GONE = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "MissingAccessKey", "MissingSecretAccessKey", "Account must be specified")
_CAUSE = re.compile(r'(InvalidCertificate\(\s*\w+)|message: "([^"]+)"|error: "([^"]+)"|(TimedOut)')
"""Why a connection failed, in the client's debug text."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)
_WRONG_KIND = (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


class Missing(Exception):
    """Nothing is there under this URI; the caller knows what that means."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri} does not exist")
        self.uri = uri


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Turn what goes wrong while reading `uri` into Missing or a Failure."""
    try:
        yield
    except (obs.BaseError, OSError) as error:
        raise _missing_or_failure(error, uri) from error


@contextmanager
def writing(uri: str) -> Iterator[None]:
    """Turn what goes wrong while writing `uri` into a Failure: there a 404 can only mean the bucket."""
    try:
        yield
    except (obs.BaseError, OSError) as error:
        found = _missing_or_failure(error, uri)
        raise _no_bucket(uri) if isinstance(found, Missing) else found from error


def failure(error: Exception, uri: str) -> Failure:
    """The Failure that an error of a store or a disk means."""
    if isinstance(error, OSError) and error.errno is not None:
        return _disk_failure(error, uri)
    return _store_failure(error, uri)


def full_disk(error: Exception) -> Failure | None:
    """The Failure of a disk that was full under code that knows no store, a library's say; None for any other error."""
    said = re.search(r"\(os error (\d+)\)", str(error))
    number = error.errno if isinstance(error, OSError) else int(said[1]) if said else None
    if number not in _DISK_FULL:
        return None
    where = getattr(error, "filename", None) or "the disk of the cache or of temporary files"
    return _disk_failure(OSError(number, os.strerror(number)), str(where))


def _missing_or_failure(error: Exception, uri: str) -> Exception:
    missing = isinstance(error, (obs.NotFoundError, FileNotFoundError))
    plain = not _DENIED_SAID.search(str(error)) and not any(sign in str(error) for sign in _BUCKET_GONE)
    return Missing(uri) if missing and plain else failure(error, uri)


def _no_bucket(uri: str) -> Failure:
    scheme, _, rest = uri.partition("://")
    if scheme not in VARIABLES:
        return Failure(Reason.STORAGE_DENIED, f"{uri}: its folder does not exist", "Create the folder, or name another one.")
    bucket = rest.split("/")[0]
    return Failure(
        Reason.STORAGE_DENIED,
        f"{uri}: bucket {bucket} does not exist",
        f"Create the bucket, correct the URI, or check {VARIABLES[scheme]}.",
    )


def _store_failure(error: Exception, uri: str) -> Failure:
    said, scheme = str(error), uri.partition(":")[0]
    check = f"Check {VARIABLES.get(scheme, 'the credentials')}"
    if any(sign in said for sign in _BUCKET_GONE):
        return _no_bucket(uri)
    if any(sign in said for sign in _NO_CREDENTIALS):
        return Failure(Reason.STORAGE_DENIED, f"{uri}: no credentials were found ({brief(said)})", f"{check}.")
    if isinstance(error, _DENIED) or _DENIED_SAID.search(said):
        return Failure(
            Reason.STORAGE_DENIED, f"{uri}: access denied ({brief(said)})", f"{check}, and that this key may read and write there."
        )
    if "redirect without LOCATION" in said or "AuthorizationHeaderMalformed" in said or "PermanentRedirect" in said:
        return Failure(
            Reason.STORAGE_DENIED, f"{uri}: the bucket lives in another region ({brief(said)})", "Set AWS_REGION to the bucket's region."
        )
    return Failure(
        Reason.STORAGE_UNAVAILABLE,
        f"{uri}: the store did not answer as it should ({brief(said)})",
        "Check the endpoint (AWS_CA_BUNDLE names a private certificate authority) and the network, then run it again.",
    )


def _disk_failure(error: OSError, uri: str) -> Failure:
    where = f"{uri} ({error.filename})" if error.filename else uri
    why = error.strerror or str(error)
    if error.errno in _DISK_FULL:
        return Failure(
            Reason.STORAGE_UNAVAILABLE, f"{where}: disk full ({why})", "Free space there, then run it again: finished work is kept."
        )
    if error.errno in _NOT_ALLOWED:
        return Failure(
            Reason.STORAGE_DENIED, f"{where}: {why}", "Give this user the right to read and write there, or name another folder."
        )
    if error.errno in _WRONG_KIND or isinstance(error, FileExistsError):
        return Failure(
            Reason.STORAGE_DENIED, f"{where}: {why}", "Name another place: a file stands where a folder is needed, or the name is too long."
        )
    return Failure(Reason.STORAGE_UNAVAILABLE, f"{where}: {why}", "Check the disk, then run it again.")


def brief(said: str) -> str:
    """The server's code and message without the rest of its XML, which can carry keys and signatures."""
    found = [re.search(f"<{tag}>(.*?)</{tag}>", said, re.DOTALL) for tag in ("Code", "Message")]
    if any(found):
        return ": ".join(match[1].strip() for match in found if match)
    head, *debug = re.split(r"\n\nDebug source|<\?xml", said, maxsplit=1)
    cause = _CAUSE.search(debug[0]) if debug else None
    shown = re.sub(r"Generic \w+ error: |, max_retries: \d+, retry_timeout: \w+", "", " ".join(head.split()))[:300].rstrip(": ")
    return f"{shown}: {next(filter(None, cause.groups()))}" if cause else shown
