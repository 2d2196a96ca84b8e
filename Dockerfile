# One image for every gateway and for the store; the command chooses.
ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE}

WORKDIR /app
RUN useradd --create-home --uid 10001 app
COPY requirements/run.lock requirements/
RUN python3 -m pip install --no-cache-dir --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md LICENSE ./
COPY bff_core bff_core
COPY bffs bffs
COPY demo demo
RUN python3 -m pip install --no-cache-dir --no-deps --no-build-isolation --editable . && mkdir /data && mkdir -m 700 .bff && chown app /data .bff
USER app
ENV PYTHONUNBUFFERED=1
CMD ["bff", "run", "web"]
