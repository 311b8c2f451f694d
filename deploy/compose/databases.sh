#!/bin/bash
# Runs once, when the cluster is made: the roles, a database for the records and one for Trillian with its tables.
set -euo pipefail
psql() { command psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres "$@"; }
for role in strongroom_owner strongroom trillian; do
	psql --dbname postgres --set role="$role" --set password="$(cat "${PASSWORDS:-/run/secrets}/$role.password")" \
		<<<"create role :\"role\" login password :'password';"
done
psql --dbname postgres --set password="$(cat "${PASSWORDS:-/run/secrets}/backup.password")" \
	<<<"create role backup login replication password :'password';"
psql --dbname postgres <<'SQL'
create database vault owner strongroom_owner;
create database log owner trillian;
revoke connect, temporary on database vault, log from public;
grant connect on database vault to strongroom;
alter role trillian set plan_cache_mode = force_custom_plan; -- else the signer keeps plans made for empty tables
SQL
{ echo 'set role trillian;' && cat "${SCHEMA:-/etc/trillian.sql}"; } | psql --dbname log
