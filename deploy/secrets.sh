#!/bin/sh
# Makes what compose.yaml has as secrets: a password for each user, in ./secrets, once; what is there stays.
#
#   sh secrets.sh
#
# The folder is its owner's alone. The files in it can be read by all, since a container reads them as a user of its own
# and Compose mounts them as they are.
set -eu
umask 022
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets
cd secrets

word() { od -An -v -N24 -tx1 /dev/urandom | tr -d ' \n'; }
sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

for name in migrator_password otel_writer_password grafana_reader_password grafana_admin_password ingest_token; do
  [ -s "$name" ] || word > "$name"
  printf %s "$(cat "$name")" > new  # an editor's last newline would be part of the collector's password
  mv new "$name"
done

# ClickHouse is told the SHA-256 of each password alone.
{
  echo '<clickhouse><users>'
  for user in migrator otel_writer grafana_reader; do
    sum=$(sha256 < "${user}_password" | cut -d ' ' -f 1)
    echo "  <$user><password_sha256_hex>$sum</password_sha256_hex></$user>"
  done
  echo '</users></clickhouse>'
} > new
mv new passwords.xml
