# An app on top of rom-agent's image: docker build -t shop -f app.Dockerfile . in the app's folder.
ARG BASE=docker.io/library/node:24-trixie-slim
ARG ROM_AGENT=rom-agent

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc npm ci --omit=dev --no-audit --no-fund
COPY . .

FROM ${ROM_AGENT}
# Root's, so that the app cannot change itself.
COPY --from=build /app /app
CMD ["serve", "server.js"]
