# streamtoon on a CPU. Build it in the repository's root:
#
#     docker build -f deploy/cpu.Dockerfile -t streamtoon .

FROM debian:bookworm-slim AS build
# Debian keeps only the newest version of a package, so a pinned version would soon not be found.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY engines engines
COPY eval eval
COPY training training
COPY streamtoon streamtoon
# Optional extras: --build-arg EXTRAS=[ray]
ARG EXTRAS=""
RUN python3 -m venv /srv/streamtoon \
    && /srv/streamtoon/bin/pip install --no-cache-dir "/src$EXTRAS"

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin streamtoon \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /srv/streamtoon /srv/streamtoon
# All that is written outside of /data goes to /tmp, so the root file system can be read-only.
ENV PATH="/srv/streamtoon/bin:$PATH" HOME=/tmp XDG_CACHE_HOME=/tmp/cache PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["streamtoon"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
