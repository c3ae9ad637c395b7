"""The yardstick: a FastAPI handler that reads the body, keeps nothing and answers ok. Run: python -m bench.bare PORT."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.post("/v1/messages")
async def take(request: Request) -> PlainTextResponse:
    """Read and forget. A response object, as the quickest way through FastAPI."""
    await request.body()
    return PlainTextResponse("ok")


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
