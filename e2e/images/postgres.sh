#!/bin/sh
# Entrypoint of the image `postgres`: makes database and user `app` at the first start, then becomes the server.
# Wants POSTGRES_PASSWORD, the password of `app`, and the folder above PGDATA to be writable.
set -eu
complete=$PGDATA/app-is-made
if [ ! -f "$complete" ]; then
  rm -rf "$PGDATA" # an earlier attempt was cut off
  initdb --username postgres --auth-local trust --auth-host scram-sha-256 \
    --encoding UTF8 --locale C --locale-provider builtin --builtin-locale C.UTF-8
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # One command per line.
  postgres --single postgres <<SQL
CREATE ROLE app LOGIN PASSWORD '$POSTGRES_PASSWORD'
CREATE DATABASE app OWNER app
SQL
  : >"$complete"
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=''
