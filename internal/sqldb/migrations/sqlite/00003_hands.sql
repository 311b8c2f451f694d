-- +goose Up

-- Which consents stand on a form. New events take a form for one consent only; older ones may have taken it for several.
drop table if exists forms;
create table forms (
	item    text not null,
	consent text not null,
	primary key (item, consent)
) without rowid;
insert into forms (item, consent)
	select distinct json_each.value, states.stream_id from states, json_each(state, '$.forms') where stream_type = 'consent';

-- Who has a physical item, or is to receive it.
create table keepers (
	actor   text not null,
	case_id text not null,
	item    text not null,
	primary key (actor, case_id, item)
) without rowid;
create index keepers_item on keepers (item);
insert into keepers (actor, case_id, item)
	select json_extract(state, '$.keeper'), json_extract(state, '$.case'), stream_id from states
	where stream_type = 'item' and json_extract(state, '$.keeper') is not null;
insert into keepers (actor, case_id, item)
	select json_extract(state, '$.transit.to'), json_extract(state, '$.case'), stream_id from states
	where stream_type = 'item' and json_extract(state, '$.transit.to') is not null
	on conflict do nothing;

-- What a case is for: who a person is, or evidence. Each item says it but consent forms, until it is shredded.
create table sides (
	case_id  text   not null,
	identity bigint not null,
	item     text   not null,
	primary key (case_id, identity, item)
) without rowid;
insert into sides (case_id, identity, item)
	select json_extract(state, '$.case'), json_extract(state, '$.class') = 'identity', stream_id from states
	where stream_type = 'item' and json_extract(state, '$.class') <> 'consent_form' and json_extract(state, '$.shredded') is null;

-- Which process does work that only one may do at a time, and until when.
create table leases (
	work   text   not null primary key,
	holder text   not null,
	until  bigint not null
) without rowid;
