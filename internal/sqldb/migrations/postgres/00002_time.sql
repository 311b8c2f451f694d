-- Times of this table are those of the states, RFC 3339 as text: they sort as they pass.

-- +goose Up

-- When the vault itself has something to do for a stream.
create table moments (
	stream_type text collate "C" not null,
	stream_id   text collate "C" not null,
	at          text collate "C" not null,
	primary key (stream_type, stream_id, at)
);
create index moments_at on moments (at, stream_type, stream_id);

-- Who speaks or spoke for whom: the survivor whose consent it is, and her advocates.
create table speakers (
	actor   text collate "C" not null,
	consent text collate "C" not null,
	case_id text collate "C" not null,
	primary key (actor, consent)
);
