"""Reading the body of a request within limits of size and time."""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

# Seconds for a whole body: 4 MiB over the slowest line that a server of ours is asked from.
BODY_SECONDS = 20


async def body_of(request: Request, *, most_bytes: int) -> bytes:
    """The body of a request.

    Raises:
        HTTPException: 413 if it is larger, 408 if it takes longer than `BODY_SECONDS`, 400 if the
            connection ends before it does.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > most_bytes:
                    raise HTTPException(413, f"The body is over {most_bytes:,} bytes.")
                parts.append(part)
    except TimeoutError:
        what = f"The body took more than {BODY_SECONDS} seconds."
        raise HTTPException(408, what, {"connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "The connection ended before the body did.") from None
    return b"".join(parts)
