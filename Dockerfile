# The image of every worker: judge and providers differ in environment and keys only.
#
# The base is pinned by an exact version and not by a digest as well: a digest is worth as much as the look that somebody took at it when
# they wrote it down, and it is for whoever pulls an image to see. Add the one you see:
#   docker buildx imagetools inspect node:24.21.0-bookworm-slim
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY scripts/node/package.json scripts/node/
# Without install scripts, and without the workspace that pins node for development: this image has that node.
RUN npm ci --ignore-scripts --workspaces=false
COPY . .
RUN node scripts/build.mjs && npm ci --ignore-scripts --workspaces=false --omit=dev

FROM node:24.21.0-bookworm-slim
# Whoever owns the key files on the host: they are for their owner's eyes, and a worker refuses them otherwise.
ARG UID=1000
ARG GID=1000
ENV NODE_ENV=production TZ=UTC
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# A fresh volume takes over owner and mode of the folder it is mounted on.
RUN install -d -m 0755 /etc/tourniquet && install -d -m 0700 -o ${UID} -g ${GID} /etc/tourniquet/store
USER ${UID}:${GID}
ENTRYPOINT ["node", "dist/workers/main.js"]
