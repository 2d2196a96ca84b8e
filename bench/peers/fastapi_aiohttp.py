"""FastAPI with one shared aiohttp session."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI, Request

from bench.peers.models import PARTS, Item, Page


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One session for all requests, with a connection for each call that may be under way."""
    connector = aiohttp.TCPConnector(limit=256)
    async with aiohttp.ClientSession(os.environ["UPSTREAM"], connector=connector, raise_for_status=True) as session:
        app.state.session = session
        yield


app = FastAPI(lifespan=lifespan)


async def _item(session: aiohttp.ClientSession, path: str) -> Item:
    async with session.get(path) as response:
        return Item.model_validate_json(await response.read())


@app.get("/page/{product_id}")
async def product_page(product_id: str, request: Request) -> Page:
    """Seven calls side by side."""
    session = request.app.state.session
    items = await asyncio.gather(*(_item(session, f"/{part}/{product_id}") for part in PARTS))
    return Page(**dict(zip(PARTS, items, strict=True)))
