-- +goose Up

-- Checkpoints that were offered to witnesses and time-stamp authorities, with the cosignatures that came. final and audited say under which
-- policy a checkpoint is that: a digest, or empty.
create table published (
	size    bigint primary key,
	signed  bytea  not null,
	at      bigint not null,
	final   bytea  not null,
	audited bytea  not null
);
create index published_final on published (final, size);
create index published_audited on published (audited, size);

-- RFC 3161 responses of authorities, over the text of a published checkpoint and over the signature of an event.
create table published_stamps (
	size      bigint           not null references published (size),
	authority text collate "C" not null,
	response  bytea            not null,
	primary key (size, authority)
);
create table event_stamps (
	ord       bigint           not null references events (ord),
	authority text collate "C" not null,
	response  bytea            not null,
	primary key (ord, authority)
);
create index event_stamps_authority on event_stamps (authority, ord);

-- Since when an authority stamps events: the order of the last one before.
create table stamping (
	authority text collate "C" not null primary key,
	since     bigint           not null
);

-- To a published checkpoint cosignatures are added, and nothing is taken away.
create trigger published_grows before update on published for each row
	when (new.size <> old.size or new.at <> old.at or length(new.signed) < length(old.signed)
		or length(new.final) < length(old.final) or length(new.audited) < length(old.audited))
	execute function refuse_change();
create trigger published_kept before delete on published for each row execute function refuse_change();
create trigger published_stamps_kept before update or delete on published_stamps for each row execute function refuse_change();
create trigger event_stamps_kept before update or delete on event_stamps for each row execute function refuse_change();
create trigger published_whole before truncate on published for each statement execute function refuse_change();
create trigger published_stamps_whole before truncate on published_stamps for each statement execute function refuse_change();
create trigger event_stamps_whole before truncate on event_stamps for each statement execute function refuse_change();
