# One image for every process: web (what it starts by itself), worker, beat and manage.py.
# How they run together is in compose.yaml; what to prepare, in docs/deployment.md.

FROM python:3.11-slim-bookworm AS build
# A venv, so that one folder is all that the final image takes from the installation.
RUN python -m venv /venv
COPY requirements.txt /tmp/requirements.txt
# To the hash what the lock names, and wheels alone: nothing is compiled, so no compiler is needed.
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
    --require-hashes -r /tmp/requirements.txt
# What .dockerignore lets through: the product, without tests, sandbox and secrets.
COPY . /app
# Byte code now, since nobody can write it later. Unchecked, since nobody edits an image, and its files' times may move.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="Cadence Exchange" \
      org.opencontainers.image.description="Free/busy of Microsoft 365 calendars for Event Cadence"
COPY --from=build /venv /venv
COPY --from=build /app /app
# PYTHONDONTWRITEBYTECODE: the tree belongs to root and may be read-only.
# PYTHONUNBUFFERED: a log line leaves at once, also the last one before a kill.
# BIND: inside a container 127.0.0.1 is nobody else's.
ENV PATH="/venv/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BIND=0.0.0.0:8000
WORKDIR /app
# Nobody, by number, so that an orchestrator can see that it is not root.
USER 65534:65534
EXPOSE 8000
# To the main process: gunicorn ends its answers first, Celery its tasks.
STOPSIGNAL SIGTERM
# /healthz alone: a database that is away is no reason to restart a web process. http.client, since it knows no proxies.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["gunicorn", "cadence_exchange.wsgi"]
