# The server in a container: `docker build -t ctxplug-server .`; docs/production.md says how to run it.
#
#   --build-arg PLUGINS="ctxplug-server ctxplug-anthropic"   which plugins of this repository
#   --build-arg ENCODINGS="o200k_base"                       which token encodings are fetched now,
#                                                            so that tokens are counted exactly later

FROM python:3.11-slim-bookworm AS build

ARG PLUGINS="ctxplug-server"
ARG ENCODINGS=""
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /build
COPY constraints.txt ./
RUN python -m venv builder \
    && builder/bin/pip install -c constraints.txt hatchling
COPY pyproject.toml README.md LICENSE ./
COPY ctxplug ctxplug
COPY examples/trip_planner.jsonl examples/trip_planner.jsonl
COPY plugins plugins
RUN builder/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels \
    . $(printf './plugins/%s ' $PLUGINS)
# What runs has no pip, no compiler and nothing that constraints.txt does not name.
RUN python -m venv --without-pip /opt/ctxplug \
    && builder/bin/pip --python /opt/ctxplug/bin/python install \
    --only-binary=:all: -c constraints.txt wheels/*.whl
RUN mkdir /opt/ctxplug/encodings \
    && for name in $ENCODINGS; do \
    TIKTOKEN_CACHE_DIR=/opt/ctxplug/encodings /opt/ctxplug/bin/python \
    -c 'import sys, tiktoken; tiktoken.get_encoding(sys.argv[1])' "$name" || exit 1; \
    done


FROM python:3.11-slim-bookworm

# The same numbers everywhere, so that a volume keeps its owner from one image to the next.
RUN groupadd --gid 10001 ctxplug \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data \
    --shell /usr/sbin/nologin ctxplug \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /opt/ctxplug /opt/ctxplug

ENV PATH=/opt/ctxplug/bin:$PATH \
    LANG=C.UTF-8 \
    TMPDIR=/run \
    PYTHONDONTWRITEBYTECODE=1 \
    TIKTOKEN_CACHE_DIR=/opt/ctxplug/encodings \
    CTXPLUG_STORE=/data/agent.db \
    CTXPLUG_SERVER_HOST=0.0.0.0 \
    CTXPLUG_SERVER_PORT=8732 \
    CTXPLUG_LOG_FORMAT=json

WORKDIR /data
VOLUME ["/data"]
EXPOSE 8732
USER 10001:10001
# What is at work is finished, for up to 20 s; a container is given 10 unless told otherwise.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "ctxplug_server.probe"]
ENTRYPOINT ["ctxplug"]
CMD ["serve"]
