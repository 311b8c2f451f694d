-- +goose Up

-- Which consents stand on a form. New events take a form for one consent only; older ones may have taken it for several.
create table forms (
	item    text collate "C" not null,
	consent text collate "C" not null,
	primary key (item, consent)
);

-- Who has a physical item, or is to receive it.
create table keepers (
	actor   text collate "C" not null,
	case_id text collate "C" not null,
	item    text collate "C" not null,
	primary key (actor, case_id, item)
);
create index keepers_item on keepers (item);

-- What a case is for: who a person is, or evidence. Each item says it but consent forms, until it is shredded.
create table sides (
	case_id  text collate "C" not null,
	identity bigint           not null,
	item     text collate "C" not null,
	primary key (case_id, identity, item)
);

-- Which process does work that only one may do at a time, and until when.
create table leases (
	work   text collate "C" not null primary key,
	holder text collate "C" not null,
	until  bigint           not null
);
