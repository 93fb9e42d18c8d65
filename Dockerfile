# The worker's image. Build it with `docker build -t state-fusion-worker .`; without an engine,
# `uv run python -m deploy.rehearse_image` performs these same steps and says what comes of them.

# The Python that the tests run with, and one path to it in both stages.
FROM python:3.11.14-slim-bookworm AS base
ENV PATH=/app/.venv/bin:$PATH
WORKDIR /app

FROM base AS builder
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
ENV UV_CACHE_DIR=/var/cache/uv UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never
COPY requirements.txt ./
# Wheels only: nothing is compiled, here or in the final image.
RUN --mount=type=cache,target=/var/cache/uv \
    uv venv --python python3.11 .venv \
    && uv pip install --python .venv/bin/python --no-build --require-hashes -r requirements.txt

FROM base
RUN groupadd --gid 10001 worker \
    && useradd --no-log-init --uid 10001 --gid worker --home-dir /app --shell /bin/sh worker
COPY --from=builder /app/.venv .venv
COPY . .
# The code is root's and read-only for the worker, so its bytecode is made now. What is to last
# lies under backups/, where a volume goes.
RUN python -m compileall -q worker.py db deploy helpers simulator strategies \
    && ln -s /app/deploy/worker /usr/local/bin/worker \
    && mkdir backups && chown worker:worker backups
# A promoted model and the watchdog's stacks outlive the machine.
ENV PYTHONDONTWRITEBYTECODE=1 \
    MODEL_DIRECTORY=backups/model_in_use \
    LOG_DIRECTORY=backups/logs
VOLUME ["/app/backups"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-S", "deploy/healthcheck.py"]
USER 10001:10001
CMD ["python", "worker.py"]
