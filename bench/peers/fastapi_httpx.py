"""FastAPI with one shared httpx client: what everyone writes."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request

from bench.peers.models import PARTS, Item, Page


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all requests."""
    async with httpx.AsyncClient(base_url=os.environ["UPSTREAM"]) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


async def _item(client: httpx.AsyncClient, path: str) -> Item:
    response = await client.get(path)
    response.raise_for_status()
    return Item.model_validate_json(response.content)


@app.get("/page/{product_id}")
async def product_page(product_id: str, request: Request) -> Page:
    """Seven calls side by side."""
    client = request.app.state.client
    items = await asyncio.gather(*(_item(client, f"/{part}/{product_id}") for part in PARTS))
    return Page(**dict(zip(PARTS, items, strict=True)))
