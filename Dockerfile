# Images of the services, for Docker, podman and buildah, from a clean checkout:
#
#   docker build --target gateway --tag localhost/assay/gateway:0.1.0 .      and the same for operator and scorer
#
# Each has one static program, certificates of public authorities, and nothing else. `make images` makes the same without
# Docker (hack/cluster/images.sh).

FROM docker.io/library/node:22-bookworm-slim AS page
WORKDIR /assay/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /assay
COPY . .
# After the sources, so that it is newer than what it was built from: then it is not built again.
COPY --from=page /assay/web/dist web/dist
RUN find web/dist -exec touch {} + && \
    target=$(rustc -vV | sed -n 's/^host: //p') && \
    RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --locked --release --target "$target" --package gateway --package operator --package scorer --bins && \
    mkdir /programs && \
    for name in gateway operator scorer; do install --strip "target/$target/release/$name" /programs/; done

FROM scratch AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS gateway
COPY --from=build /programs/gateway /gateway
ENTRYPOINT ["/gateway"]

FROM base AS operator
COPY --from=build /programs/operator /operator
ENTRYPOINT ["/operator"]

FROM base AS scorer
COPY --from=build /programs/scorer /scorer
ENTRYPOINT ["/scorer"]
