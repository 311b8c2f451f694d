package forms

var identity = table{Identity, "Identity",
	"Who a person is. It is kept apart from every other document, has recipients and a consent of its own, and is tied to the rest by the pseudonym alone (RULES §2).",
	group(
		must("schema", "Schema", "The kind of document, always the same.", code(string(Identity))),
		must("pseudonym", "Pseudonym", "The word that stands for the person in every other document.", text(short)),
		must("names", "Names", "Every name, as it is written.", list("Name", 20, group(
			must("name", "Name", "In the person's own order and script.", text(short)),
			must("kind", "Kind", "official: in papers. used: what people call the person. former: no longer used.", code("official", "used", "former")),
			may("latin", "In Latin letters", "As in the passport, or as you would read it.", text(short))))),
		may("born", "Born", "As far as it is known.", born),
		may("birthplace", "Place of birth", "Town and country.", text(short)),
		may("nationalities", "Nationalities", "Country codes; none for a stateless person.", list("Nationality", 10, country)),
		may("documents", "Papers", "Passports and the like.", list("Paper", 20, group(
			must("kind", "Kind", "Passport, identity card, residence permit.", text(short)),
			must("number", "Number", "As printed.", text(short)),
			must("issued_by", "Issued by", "Country code.", country),
			may("valid_until", "Valid until", "The last day.", date)))),
		must("established_by", "How it was established", "Papers seen, own statement, somebody who knows the person.", text(medium)),
		may("address", "Address", "Where the person lives, if it is safe to keep.", text(short)),
		may("reached_at", "Reached at", "Number or address for the channel in the consent form, and nothing else.", text(short)),
		may("consent", "Consent", "The number of the consent for this identity.", consent),
		may("persons", "Other persons", "Who stands behind the references in other documents: interpreter, second reader, witness.", list("Person", 50, group(
			must("reference", "Reference", "The words used there, such as Reader 1.", text(short)),
			must("name", "Name", "Who it is.", text(short)),
			must("role", "Role", "Interpreter, second reader and so on.", text(short)),
			may("qualification", "Qualification", "Profession and training.", text(short)),
			may("licence", "Licence", "Number and issuer.", text(short)))))),
	identityRules}

func identityRules(d map[string]any, c *check) { c.distinct(d, "persons", "reference") }
