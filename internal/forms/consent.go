package forms

var consentForm = table{ConsentForm, "Consent form",
	"What was explained to the person, how, and what the person decided (RULES §4). The answers themselves are signed in consent.given; each refusal is kept here with its reason.",
	consentShape(), consentRules}

func consentShape() shape {
	leave := code("leave_out", "keep")
	represented := "Somebody decides for the person. Say who, in which relation and on what ground."
	best := "Say why this is in the person's best interests."
	return group(
		must("schema", "Schema", "The kind of document, always the same.", code(string(ConsentForm))),
		must("subject", "Person", "The pseudonym; never the name.", text(short)),
		must("date", "Date", "When it was explained and decided.", date),
		must("purpose", "Purpose", "What the documentation is for, as it was explained.", text(medium)),
		must("recipients", "Recipients", "Everybody who may receive something, each named by itself.", list("Recipient", 50, text(short))),
		must("period", "Period", "For how long it holds.", group(
			must("from", "From", "The first day.", date),
			must("until", "Until", "The day on which it ends.", date))),
		must("consequences", "Consequences", "As they were explained.", group(
			must("agreeing", "If the person agrees", "What may follow, also what cannot be called back.", text(medium)),
			must("refusing", "If the person refuses", "What follows; care stays the same.", text(medium)))),
		must("alternatives", "Alternatives", "What else is possible: words instead of photographs, care without a record.", text(medium)),
		must("wording", "Wording", "The text that was read or shown, word for word.", text(long)),
		must("language", "Language", "The language in which it was read or shown.", language),
		must("interpreter", "Interpreter", "Who interpreted and how, without the name if that is not safe; or none needed.", text(short)),
		must("by", "Decided by", "The person, or somebody for the person.", code("self", "proxy")),
		must("minor", "Minor", "Whether the person is under age where this is decided.", yesNo()),
		must("capacity", "Ability to decide", "Adults are presumed able to decide.", group(
			must("presumed", "Presumed", "Yes unless somebody examined it and found otherwise.", yesNo()),
			may("assessment", "Assessment", "Who found what, how and when. Needed if it is not presumed.", text(medium)),
			must("support", "Support given", "What helped the person decide: time, pictures, a trusted person; or none needed.", text(medium)),
		).needing(need{"presumed", []any{false}, []string{"assessment"}, ReasonCapacity, "Ability to decide is presumed. Say who found otherwise, how and when."})),
		may("proxy", "Who decides for the person", "Needed if the person does not decide.", group(
			must("name", "Name", "Who it is.", text(short)),
			must("relation", "Relation", "Mother, guardian and so on.", text(short)),
			must("ground", "Ground", "The law or order that allows it.", text(medium)))),
		may("child", "Child", "Needed if the person is a minor.", group(
			must("age_rule", "Age rule", "The law that says from which age a child decides alone or must agree.", text(medium)),
			must("view", "The child's view", "What the child wants, in the child's words, and how it was heard.", text(medium)))),
		may("best_interests", "Best interests", "Why this is good for the person. Needed for minors and where somebody else decides.", text(medium)),
		must("no_coercion", "No coercion", "The statement that nobody forced, threatened or paid, and how that was made sure.", text(medium)),
		must("present", "Persons present", "Everybody in the room, by role.", list("Person", 50, text(short))),
		may("refusals", "Refusals", "Each answer that was no, with the reason if one was given. Nobody has to give one.", list("Refusal", 50, group(
			must("answer", "Answer", "What was refused.", code("examination", "photographs", "storage", "police_information", "police_photographs", "police_physical", "courts", "research")),
			must("reason", "Reason", "In the person's words; or none given.", text(medium))))),
		must("shared_copies", "Copies that are shared", "What the person chose for photographs that leave the vault. The original keeps everything.", group(
			must("gps", "Place in the file (GPS)", "leave_out or keep.", leave),
			must("serial_numbers", "Numbers of the camera", "leave_out or keep.", leave))),
		must("contact", "Safe contact", "How the person may be reached.", group(
			must("channel", "Channel", "none means: do not contact me.", code("none", "phone", "message", "mail", "person")),
			may("rule", "Rule", "When, by whom, what may be said, what if somebody else answers. Needed unless the channel is none.", text(medium)),
		).needing(need{"channel", []any{"phone", "message", "mail", "person"}, []string{"rule"}, ReasonContact, "Say how this channel is safe: when, by whom, what may be said. Or choose none."})),
		must("earlier_interviews", "Earlier interviews", "Who asked about this before, and when; or none known.", text(medium)),
		may("feedback_date", "Promised feedback", "When the person will hear what became of it.", date),
		must("signature", "Signature", "Signed, marked or spoken.", group(
			must("kind", "Kind", "signature, mark, or spoken and recorded.", code("signature", "mark", "spoken")),
			must("date", "Date", "When.", date),
			may("item", "Item", "The item with the signed sheet or the recording. Needed if spoken.", item),
			may("witness", "Witness", "Who saw or heard it, by role or reference.", text(short)),
		).needing(need{"kind", []any{"spoken"}, []string{"item"}, ReasonSpoken, "The answer was spoken. Name the item that holds the recording."})),
	).needing(
		need{"by", []any{"proxy"}, []string{"proxy"}, ReasonProxy, represented},
		need{"by", []any{"proxy"}, []string{"best_interests"}, ReasonProxy, best},
		need{"minor", []any{true}, []string{"child"}, ReasonMinor, "The person is a minor. Say which age rule applies and what the child wants."},
		need{"minor", []any{true}, []string{"best_interests"}, ReasonMinor, best})
}

func consentRules(d map[string]any, c *check) {
	if from, until := textAt(d, "period.from"), textAt(d, "period.until"); until != "" && until <= from {
		c.add(Unfinished, "period.until", ReasonOrder, "The period ends before it begins. Correct one of the two dates.")
	}
	if textAt(d, "by") == "proxy" && lookup(d, "minor") == false && yesAt(d, "capacity.presumed") {
		c.add(Unfinished, "capacity.presumed", ReasonCapacity, "An adult is presumed able to decide, so nobody else decides. Ask the person, or record who found otherwise.")
	}
	c.distinct(d, "refusals", "answer")
}
