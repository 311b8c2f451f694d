-- Times of this table are those of the states, RFC 3339 as text: they sort as they pass.

-- +goose Up

-- When the vault itself has something to do for a stream.
create table moments (
	stream_type text not null,
	stream_id   text not null,
	at          text not null,
	primary key (stream_type, stream_id, at)
) without rowid;
create index moments_at on moments (at, stream_type, stream_id);

-- Who speaks or spoke for whom: the survivor whose consent it is, and her advocates.
create table speakers (
	actor   text not null,
	consent text not null,
	case_id text not null,
	primary key (actor, consent)
) without rowid;

insert into moments (stream_type, stream_id, at)
	select stream_type, stream_id, json_extract(state, '$.until') from states
	where stream_type = 'consent' and json_extract(state, '$.withdrawn') is null;
insert into speakers (actor, consent, case_id)
	select json_extract(state, '$.subject'), stream_id, json_extract(state, '$.case') from states
	where stream_type = 'consent' and json_extract(state, '$.subject') is not null;
