# The image of llmgw from the release's binaries: goreleaser lays them out as
# OS/ARCH/llmgw and builds with buildx. Dockerfile makes the same image from
# source.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
RUN mkdir -p /rootfs/etc/ssl/certs /owned/llmgw && \
    cp /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/ && \
    echo 'llmgw:x:65532:65532:llmgw:/var/lib/llmgw:/nologin' > /rootfs/etc/passwd && \
    echo 'llmgw:x:65532:' > /rootfs/etc/group && \
    mkdir -m 1777 /rootfs/tmp && \
    chmod 0700 /owned/llmgw

FROM scratch
ARG TARGETPLATFORM
COPY --from=build /rootfs/ /
COPY --from=build --chown=65532:65532 /owned/ /var/lib/
COPY $TARGETPLATFORM/llmgw /usr/local/bin/llmgw
ENV LLMGW_LISTEN=:4100 \
    LLMGW_DATA=/var/lib/llmgw
USER 65532:65532
VOLUME /var/lib/llmgw
EXPOSE 4100
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/usr/local/bin/llmgw", "health"]
ENTRYPOINT ["/usr/local/bin/llmgw"]
CMD ["serve"]
