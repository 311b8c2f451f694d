-- +goose Up

-- Checkpoints that were offered to witnesses and time-stamp authorities, with the cosignatures that came. final and audited say under which
-- policy a checkpoint is that: a digest, or empty.
create table published (
	size    integer primary key,
	signed  blob   not null,
	at      bigint not null,
	final   blob   not null,
	audited blob   not null
);
create index published_final on published (final, size);
create index published_audited on published (audited, size);

-- RFC 3161 responses of authorities, over the text of a published checkpoint and over the signature of an event.
create table published_stamps (
	size      bigint not null references published (size),
	authority text   not null,
	response  blob   not null,
	primary key (size, authority)
);
create table event_stamps (
	ord       bigint not null references events (ord),
	authority text   not null,
	response  blob   not null,
	primary key (ord, authority)
);
create index event_stamps_authority on event_stamps (authority, ord);

-- Since when an authority stamps events: the order of the last one before.
create table stamping (
	authority text   not null primary key,
	since     bigint not null
) without rowid;

-- +goose StatementBegin
create trigger published_update before update on published
when new.size <> old.size or new.at <> old.at or length(new.signed) < length(old.signed)
	or length(new.final) < length(old.final) or length(new.audited) < length(old.audited)
begin
	select raise(abort, 'to a published checkpoint cosignatures are added, and nothing is taken away');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger published_delete before delete on published begin
	select raise(abort, 'published checkpoints are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger published_stamps_update before update on published_stamps begin
	select raise(abort, 'time stamps are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger published_stamps_delete before delete on published_stamps begin
	select raise(abort, 'time stamps are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger event_stamps_update before update on event_stamps begin
	select raise(abort, 'time stamps are append-only');
end;
-- +goose StatementEnd
-- +goose StatementBegin
create trigger event_stamps_delete before delete on event_stamps begin
	select raise(abort, 'time stamps are append-only');
end;
-- +goose StatementEnd
