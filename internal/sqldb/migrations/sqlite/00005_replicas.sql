-- +goose Up
-- compatible 5
-- because programs before this do not ask.

-- Until when a caller has used up a limit of requests. A row whose time has come says nothing any more.
create table limits (
	key   blob   not null primary key,
	until bigint not null
) without rowid;
create index limits_until on limits (until);
