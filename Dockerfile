# The images of operator and writer; `make images` builds both. One of them:
#
#   docker build --target writer --build-arg VERSION=0.1.0 --tag eventstream/writer:0.1.0 .
#
# An image holds its program as one file, Node, and the libraries that Node is linked to: no shell, no package manager and
# no node_modules. images/README.md says more.

# Where Node and its libraries come from; Node 24 or newer with glibc.
ARG BASE=node:24-trixie-slim

FROM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-progress
COPY . .
RUN node images/main.ts root operator /roots/operator && node images/main.ts root writer /roots/writer

FROM scratch AS image
ARG VERSION
LABEL org.opencontainers.image.description="A Kubernetes operator that turns events in NATS JetStream into rows in PostgreSQL and TimescaleDB." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
USER 1000:1000
ENTRYPOINT ["/usr/local/bin/node", "--enable-source-maps", "/app/eventstream.mjs"]

FROM image AS operator
LABEL org.opencontainers.image.title="eventstream/operator"
COPY --from=build /roots/operator /

FROM image AS writer
LABEL org.opencontainers.image.title="eventstream/writer"
COPY --from=build /roots/writer /
