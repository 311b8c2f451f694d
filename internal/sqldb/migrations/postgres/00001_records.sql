-- Times are microseconds since 1970, UTC; digests are 32 bytes; state and grant columns are the JSON of package evidence.
-- The same file in the other dialect's folder has the same tables and columns; only types of keys and triggers differ. Text is compared by its
-- bytes, as Go does it.

-- +goose Up

-- What was accepted, for ever. ord is the commit order, without gaps.
create table events (
	ord         bigint           primary key,
	stream_type text collate "C" not null,
	stream_id   text collate "C" not null,
	seq         bigint           not null,
	kind        text collate "C" not null,
	leaf_hash   bytea            not null unique,
	pae_digest  bytea            not null unique,
	stands      bytea            not null, -- leaf hashes of prev and of every relied_on entry, one after the other
	leaf        bytea            not null,
	dsse        bytea            not null,
	unique (stream_type, stream_id, seq)
);

-- Events that are not in the log yet.
create table pending (
	ord bigint primary key references events (ord)
);

-- Where the log holds the others, and its receipt.
create table inclusions (
	ord     bigint primary key references events (ord),
	idx     bigint not null unique,
	receipt bytea  not null
);

-- Every checkpoint that was signed.
create table checkpoints (
	ord    bigint primary key,
	size   bigint not null,
	digest bytea  not null unique,
	signed bytea  not null
);
create index checkpoints_size on checkpoints (size, ord);

-- Small age files that travel with events. The bytes stay erasable: body is null once they are destroyed.
create table attachments (
	id        bigint           primary key,
	ord       bigint           not null references events (ord),
	kind      text collate "C" not null,
	name      text collate "C" not null,
	audience  text collate "C" not null,
	recipient bytea            not null, -- fingerprint, or empty
	sha256    bytea            not null,
	body      bytea
);
create index attachments_ord on attachments (ord);
create index attachments_sha256 on attachments (sha256);

-- The heads map (FORMATS §7) and the summaries of its buckets.
create table heads_entries (
	key   bytea not null primary key,
	value bytea not null
);
create table heads_buckets (
	prefix bigint not null primary key,
	single bigint not null, -- 0 or 1
	hash   bytea  not null
);

-- Projections: all of them follow from events.
create table states (
	stream_type text collate "C" not null,
	stream_id   text collate "C" not null,
	seq         bigint           not null, -- of the last event
	state       text collate "C" not null,
	primary key (stream_type, stream_id)
);
create table actor_keys (
	key_id bytea            not null primary key,
	actor  text collate "C" not null,
	spki   bytea            not null
);
create table actor_recipients (
	recipient bytea            not null primary key, -- SHA-256 of the age recipient
	actor     text collate "C" not null
);
create table members (
	actor   text collate "C" not null,
	case_id text collate "C" not null,
	primary key (actor, case_id)
);
create table consents (
	case_id text collate "C" not null,
	id      text collate "C" not null,
	primary key (case_id, id)
);
create table items (
	case_id   text collate "C" not null,
	id        text collate "C" not null,
	recipient bytea            not null unique, -- SHA-256 of the item recipient
	primary key (case_id, id)
);
create table exhibits (
	case_id text collate "C" not null,
	number  bigint           not null,
	item    text collate "C" not null,
	primary key (case_id, number)
);
create table grants (
	id        text collate "C" not null,
	item      text collate "C" not null, -- one grant may stand on several items
	case_id   text collate "C" not null,
	recipient text collate "C" not null,
	status    text collate "C" not null,
	activated bigint, -- order of the event that made it active
	expires   bigint           not null,
	state     text collate "C" not null,
	primary key (id, item)
);
create index grants_recipient on grants (recipient, id);
create index grants_case on grants (case_id, recipient) where activated is not null;
create index grants_due on grants (expires) where status in ('pending', 'active');

-- What no event holds.
create table uploads (
	id      text collate "C" not null primary key,
	owner   text collate "C" not null,
	size    bigint           not null,
	expires bigint           not null
);
create index uploads_owner on uploads (owner, expires);
create index uploads_expires on uploads (expires);
create table invitations (
	ord            bigint           primary key,
	digest         bytea            not null unique,
	actor          text collate "C" not null,
	role           text collate "C" not null,
	organization   text collate "C" not null,
	documents_only bigint           not null, -- 0 or 1
	made_by        text collate "C" not null,
	rotation       bigint           not null, -- 0 or 1
	expires        bigint           not null,
	answer         text collate "C" -- JSON of the invitee's keys
);
create index invitations_made_by on invitations (made_by, ord);
create table releases (
	event   bytea            not null primary key,
	item    text collate "C" not null,
	actor   text collate "C" not null,
	begun   bigint           not null,
	expires bigint           not null
);
create table challenges (
	nonce   bytea  not null primary key,
	expires bigint not null
);
create index challenges_expires on challenges (expires);
create table sessions (
	token   bytea            not null primary key,
	actor   text collate "C" not null,
	role    text collate "C" not null,
	key_id  bytea            not null,
	expires bigint           not null
);
create index sessions_actor on sessions (actor);
create index sessions_expires on sessions (expires);
create table meta (
	key   text collate "C" not null primary key,
	value text collate "C" not null
);

-- What was written stays as it was written.

-- +goose StatementBegin
create function refuse_change() returns trigger language plpgsql as $$
begin
	raise exception 'of % only what its rules allow may change', tg_table_name;
end
$$;
-- +goose StatementEnd
create trigger events_kept before update or delete on events for each row execute function refuse_change();
create trigger inclusions_kept before update or delete on inclusions for each row execute function refuse_change();
create trigger checkpoints_kept before update or delete on checkpoints for each row execute function refuse_change();
create trigger heads_entries_kept before update or delete on heads_entries for each row execute function refuse_change();
create trigger attachments_kept before delete on attachments for each row execute function refuse_change();
create trigger attachments_erased before update on attachments for each row
	when (new.body is not null
		or (new.id, new.ord, new.kind, new.name, new.audience, new.recipient, new.sha256)
			is distinct from (old.id, old.ord, old.kind, old.name, old.audience, old.recipient, old.sha256))
	execute function refuse_change();
create trigger events_whole before truncate on events for each statement execute function refuse_change();
create trigger inclusions_whole before truncate on inclusions for each statement execute function refuse_change();
create trigger checkpoints_whole before truncate on checkpoints for each statement execute function refuse_change();
create trigger heads_entries_whole before truncate on heads_entries for each statement execute function refuse_change();
create trigger attachments_whole before truncate on attachments for each statement execute function refuse_change();

-- Whoever writes locks this row first, so that nobody else does until that is committed.
insert into meta (key, value) values ('writing', '');

-- Erased bytes are overwritten once their pages are used again: soon.
alter table attachments set (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
	toast.autovacuum_vacuum_threshold = 0, toast.autovacuum_vacuum_scale_factor = 0);
