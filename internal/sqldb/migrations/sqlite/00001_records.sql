-- Times are microseconds since 1970, UTC; digests are 32 bytes; state and grant columns are the JSON of package evidence.
-- The same file in the other dialect's folder has the same tables and columns; only types of keys and triggers differ.

-- +goose Up

-- What was accepted, for ever. ord is the commit order, without gaps.
create table events (
	ord         integer primary key,
	stream_type text    not null,
	stream_id   text    not null,
	seq         bigint  not null,
	kind        text    not null,
	leaf_hash   blob    not null unique,
	pae_digest  blob    not null unique,
	stands      blob    not null, -- leaf hashes of prev and of every relied_on entry, one after the other
	leaf        blob    not null,
	dsse        blob    not null,
	unique (stream_type, stream_id, seq)
);

-- Events that are not in the log yet.
create table pending (
	ord integer primary key references events (ord)
);

-- Where the log holds the others, and its receipt.
create table inclusions (
	ord     integer primary key references events (ord),
	idx     bigint not null unique,
	receipt blob   not null
);

-- Every checkpoint that was signed.
create table checkpoints (
	ord    integer primary key,
	size   bigint not null,
	digest blob   not null unique,
	signed blob   not null
);
create index checkpoints_size on checkpoints (size, ord);

-- Small age files that travel with events. The bytes stay erasable: body is null once they are destroyed.
create table attachments (
	id        integer primary key,
	ord       bigint not null references events (ord),
	kind      text   not null,
	name      text   not null,
	audience  text   not null,
	recipient blob   not null, -- fingerprint, or empty
	sha256    blob   not null,
	body      blob
);
create index attachments_ord on attachments (ord);
create index attachments_sha256 on attachments (sha256);

-- The heads map (FORMATS §7) and the summaries of its buckets.
create table heads_entries (
	key   blob not null primary key,
	value blob not null
) without rowid;
create table heads_buckets (
	prefix bigint not null primary key,
	single bigint not null, -- 0 or 1
	hash   blob   not null
) without rowid;

-- Projections: all of them follow from events.
create table states (
	stream_type text   not null,
	stream_id   text   not null,
	seq         bigint not null, -- of the last event
	state       text   not null,
	primary key (stream_type, stream_id)
);
create table actor_keys (
	key_id blob not null primary key,
	actor  text not null,
	spki   blob not null
) without rowid;
create table actor_recipients (
	recipient blob not null primary key, -- SHA-256 of the age recipient
	actor     text not null
) without rowid;
create table members (
	actor   text not null,
	case_id text not null,
	primary key (actor, case_id)
) without rowid;
create table consents (
	case_id text not null,
	id      text not null,
	primary key (case_id, id)
) without rowid;
create table items (
	case_id   text not null,
	id        text not null,
	recipient blob not null unique, -- SHA-256 of the item recipient
	primary key (case_id, id)
) without rowid;
create table exhibits (
	case_id text   not null,
	number  bigint not null,
	item    text   not null,
	primary key (case_id, number)
) without rowid;
create table grants (
	id        text   not null,
	item      text   not null, -- one grant may stand on several items
	case_id   text   not null,
	recipient text   not null,
	status    text   not null,
	activated bigint,          -- order of the event that made it active
	expires   bigint not null,
	state     text   not null,
	primary key (id, item)
);
create index grants_recipient on grants (recipient, id);
create index grants_case on grants (case_id, recipient) where activated is not null;
create index grants_due on grants (expires) where status in ('pending', 'active');

-- What no event holds.
create table uploads (
	id      text   not null primary key,
	owner   text   not null,
	size    bigint not null,
	expires bigint not null
) without rowid;
create index uploads_owner on uploads (owner, expires);
create index uploads_expires on uploads (expires);
create table invitations (
	ord            integer primary key,
	digest         blob   not null unique,
	actor          text   not null,
	role           text   not null,
	organization   text   not null,
	documents_only bigint not null, -- 0 or 1
	made_by        text   not null,
	rotation       bigint not null, -- 0 or 1
	expires        bigint not null,
	answer         text             -- JSON of the invitee's keys
);
create index invitations_made_by on invitations (made_by, ord);
create table releases (
	event   blob   not null primary key,
	item    text   not null,
	actor   text   not null,
	begun   bigint not null,
	expires bigint not null
) without rowid;
create table challenges (
	nonce   blob   not null primary key,
	expires bigint not null
) without rowid;
create index challenges_expires on challenges (expires);
create table sessions (
	token   blob   not null primary key,
	actor   text   not null,
	role    text   not null,
	key_id  blob   not null,
	expires bigint not null
) without rowid;
create index sessions_actor on sessions (actor);
create index sessions_expires on sessions (expires);
create table meta (
	key   text not null primary key,
	value text not null
) without rowid;

-- What was written stays as it was written.

-- +goose StatementBegin
create trigger events_update before update on events begin
	select raise(abort, 'events are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger events_delete before delete on events begin
	select raise(abort, 'events are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger inclusions_update before update on inclusions begin
	select raise(abort, 'inclusions are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger inclusions_delete before delete on inclusions begin
	select raise(abort, 'inclusions are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger checkpoints_update before update on checkpoints begin
	select raise(abort, 'checkpoints are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger checkpoints_delete before delete on checkpoints begin
	select raise(abort, 'checkpoints are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger heads_entries_update before update on heads_entries begin
	select raise(abort, 'the heads map is insert-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger heads_entries_delete before delete on heads_entries begin
	select raise(abort, 'the heads map is insert-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger attachments_update before update on attachments
when new.body is not null
	or new.id <> old.id or new.ord <> old.ord or new.kind <> old.kind or new.name <> old.name
	or new.audience <> old.audience or new.recipient <> old.recipient or new.sha256 <> old.sha256
begin
	select raise(abort, 'of an attachment only the bytes may be erased');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger attachments_delete before delete on attachments begin
	select raise(abort, 'of an attachment only the bytes may be erased');
end;
-- +goose StatementEnd
