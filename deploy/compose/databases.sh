#!/bin/bash
# Runs once, when the cluster is made: the roles, a database for the records and one for Trillian with its tables. psql reads passwords from
# their files itself: what stands on its command line, the list of processes shows.
set -euo pipefail
psql() { command psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username postgres "$@"; }
create() { # ROLE, and what it may
	psql --dbname postgres <<SQL
\set password \`cat '${PASSWORDS:-/run/secrets}/$1.password'\`
create role $1 login $2 password :'password';
SQL
}
create strongroom_owner ""
create strongroom ""
create trillian ""
create backup replication
psql --dbname postgres <<'SQL'
create database vault owner strongroom_owner;
create database log owner trillian;
revoke connect, temporary on database vault, log from public;
grant connect on database vault to strongroom;
alter role trillian set plan_cache_mode = force_custom_plan; -- else the signer keeps plans made for empty tables
SQL
{ echo 'set role trillian;' && cat "${SCHEMA:-/etc/trillian.sql}"; } | psql --dbname log
