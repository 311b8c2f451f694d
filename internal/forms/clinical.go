package forms

import "slices"

// explained is a heading that is filled or says why not (RULES §5).
var explained = shape{instead: "not_done"}

func heading(name, title, about string, is shape) field {
	return must(name, title, about, is.orReason(explained.instead))
}

var (
	clinicalRecord = table{ClinicalRecord, "Clinical record",
		"What a clinician was told, saw and concludes, under the headings of the Istanbul Protocol, annex IV. Each heading is filled, or says why not: {\"not_done\": \"reason\"}. The person appears under a pseudonym only; the name is in the identity item.",
		clinicalShape(ClinicalRecord, true), recordRules}
	clinicalFacts = table{ClinicalFacts, "Clinical record of facts",
		"What was told and seen, without any opinion: for those who document only. It has the headings of the clinical record without degrees of consistency, interpretation and conclusions.",
		clinicalShape(ClinicalFacts, false), factsRules}
)

// consistencies are the degrees of the Istanbul Protocol, weakest first. The strong ones need reasons and a second reader.
var (
	consistencies = []string{"not_consistent", "consistent", "highly_consistent", "typical_of", "diagnostic_of"}
	strong        = []any{"typical_of", "diagnostic_of"}
)

var bodyMaps = []string{"anterior", "posterior", "left", "right", "head", "hands", "feet", "genital"}

// clinicalShape is the table of RULES §5, in the order of the protocol's headings. Opinions stand only where opinions is true.
func clinicalShape(schema Schema, opinions bool) shape {
	all := []field{
		must("schema", "Schema", "The kind of document, always the same.", code(string(schema))),
		heading("case_information", "Case information", "When, where, at whose request and under which circumstances the person was examined.", caseInformation()),
		heading("qualifications", "Clinician's qualifications", "Your profession, training and experience in this work.", text(medium)),
		heading("testimony_statement", "Statement on testimony", "For a court: how far you know the matters that you testify to yourself.", text(medium)),
		heading("background", "Background", "The person's life, health and work before the events.", text(long)),
		heading("allegations", "Account in the person's own words", "What the person says happened: own words, with quotation marks.", text(long)),
		heading("symptoms", "Physical symptoms and disabilities", "Complaints at the time and since, as the person describes them.", text(long)),
		heading("examination", "Physical examination", "What you saw and measured, and what could not be examined.", examination(opinions)),
		heading("psychology", "Psychological history and examination", "Methods, history, what you observed, test results.", text(long)),
		heading("photographs", "Photographs", "Every photograph that was taken, overview first, then close up with a scale.", list("Photograph", entries, photograph())),
		heading("tests", "Diagnostic tests", "Tests with their results.", list("Test", entries, group(
			must("name", "Test", "Which test or imaging.", text(short)),
			may("date", "Date", "When it was done.", date),
			must("result", "Result", "The result, as reported.", text(medium)),
			may("item", "Item", "The item that holds the report.", item)))),
		{"consultations", "Consultations", "What other clinicians were asked and answered.", text(long).orReason(explained.instead), true},
		heading("interpretation", "Interpretation of findings", "How findings and account fit together, physical and psychological.", text(long)),
		heading("conclusions", "Conclusions", "Your opinion on the whole, its limits, and what else could explain the findings.", strongNeeds("overall_consistency", group(
			must("overall_consistency", "Consistency of the whole", "How far all findings together fit the account.", code(consistencies...)),
			may("reasons", "Reasons", "Why. Needed for typical of and diagnostic of.", text(long)),
			may("second_reader", "Second reader", "The clinician who read this conclusion with the findings. Needed for typical of and diagnostic of.", secondReader()),
			must("limits", "Limits", "What the examination could not show.", text(medium)),
			must("alternatives", "Other explanations", "Which other causes were considered, and what speaks for and against them.", text(long))))),
		heading("recommendations", "Recommendations", "Further examinations and care.", text(medium)),
		heading("truthfulness_statement", "Statement of truthfulness", "For a court: that this is true to your knowledge and belief.", text(medium)),
		heading("restrictions_on_evaluation", "Restrictions on the evaluation", "What hindered the examination: time, guards, access, equipment.", text(medium)),
		heading("signature", "Signature", "Where and when you finished this record. Sealing it signs it.", group(
			must("place", "Place", "Where you finished it.", text(short)),
			must("date", "Date", "When you finished it.", date))),
		heading("annexes", "Annexes", "What belongs to the record: drawings, letters, reports.", list("Annex", entries, group(
			must("title", "Title", "What it is.", text(short)),
			may("item", "Item", "The item that holds it.", item)))),
		heading("marks", "Marks on the body maps", "Every injury or scar, numbered from 1.", list("Mark", entries, mark())),
		heading("samples", "Samples", "Swabs, blood, clothing: what was taken and where it is kept.", list("Sample", entries, sample())),
	}
	if opinions {
		return group(all...)
	}
	barred := []string{"interpretation", "conclusions"}
	s := group(slices.DeleteFunc(all, func(f field) bool { return slices.Contains(barred, f.name) })...)
	s.barred = barred
	return s
}

func caseInformation() shape {
	s := group(
		must("date", "Date of the examination", "The day it began.", date),
		may("commissioned_by", "Requested by", "Who asked for it: court, lawyer, the person.", text(short)),
		may("duration", "Duration", "How long it took, breaks included.", text(short)),
		must("place", "Place", "Where it was done.", group(
			must("institution", "Institution", "Clinic, office or place of detention.", text(short)),
			may("address", "Address", "Street and town, where it is safe to write them.", text(short)),
			may("room", "Room", "The room, and who could see or hear into it.", text(short)))),
		must("subject", "Person examined", "Under a pseudonym; never the name.", group(
			must("pseudonym", "Pseudonym", "The same word as in the identity item.", text(short)),
			may("birth_year", "Year of birth", "Known or estimated.", integer(1850, 2200)),
			may("sex", "Sex or gender", "As the person says it.", text(short)),
			may("country", "Country of origin", "Country code, or withheld.", country))),
		must("reason", "Reason", "Why the person was examined.", text(medium)),
		may("interpreter", "Interpreter", "Who interpreted and how, without the name if that is not safe; or none needed.", text(short)),
		must("language", "Language", "The language of the conversation.", language),
		may("consent", "Consent", "The number of the consent in force.", consent),
		may("no_consent_reason", "Why there is no consent", "If there is none: why, and on what ground you examined.", text(medium)),
		may("accompanied_by", "Accompanied by", "Who came with the person.", text(short)),
		must("present", "Persons present", "Everybody in the room, by role; also for how long, if not throughout.", list("Person", 50, text(short))),
		must("restraints", "Restraints", "Handcuffs and the like: which, when, at whose order; or none.", text(medium)),
		must("security_forces_present", "Police or guards present", "Yes if anybody of the police, army, prison or other authority could see or hear.", yesNo()),
		may("threats", "Threats", "Threats or pressure that were seen or reported.", text(medium)),
		may("escort_demeanour", "Behaviour of the escort", "How those who brought the person behaved.", text(medium)),
		must("conducted", "Conduct", "Whether the examination was free, restricted or limited in time.", code("free", "restricted", "time_limited")),
		may("transferred_to", "Report handed to", "Who received a copy, and when.", text(short)),
	)
	s.either = []string{"consent", "no_consent_reason"}
	return s
}

func examination(opinions bool) shape {
	finding := []field{
		must("id", "Name of the finding", "A short name, such as F1.", label),
		may("system", "Part or system", "Skin, bones and joints, heart and so on.", text(short)),
		must("observed", "What was observed", "What you see, feel or measure; no conclusions.", text(medium)),
		may("marks", "Marks", "Numbers of the marks that belong to it.", list("Mark", 100, integer(1, entries))),
	}
	opinion := []field{
		may("consistency", "Consistency", "How far the finding fits the account.", code(consistencies...)),
		may("reasons", "Reasons", "Why. Needed for typical of and diagnostic of.", text(medium)),
		may("second_reader", "Second reader", "The clinician who read the finding and the opinion. Needed for typical of and diagnostic of.", secondReader()),
	}
	f := group(finding...)
	if opinions {
		f = strongNeeds("consistency", group(append(finding, opinion...)...))
	} else {
		for _, o := range opinion {
			f.barred = append(f.barred, o.name)
		}
	}
	return group(
		must("general", "General condition", "Appearance, movement, weight, signs of pain.", text(medium)),
		may("findings", "Findings", "Each finding by itself.", list("Finding", entries, f)),
		must("limits", "Limits", "What was not examined, and why; or none.", text(medium)))
}

// strongNeeds: a strong opinion has reasons and a second reader (RULES §5, §12.34).
func strongNeeds(degree string, s shape) shape {
	return s.needing(
		need{degree, strong, []string{"reasons"}, ReasonStrong, "This opinion is strong, so it needs reasons. Write them, or choose a weaker degree."},
		need{degree, strong, []string{"second_reader"}, ReasonSecondReader, "This opinion is strong, so a second clinician reads it. Ask one and say who it was, or choose a weaker degree."})
}

func secondReader() shape {
	return group(
		must("who", "Who", "The number of the actor (act-…), or the reference under which the identity item names the person. No name.", text(short)),
		must("date", "Date", "When it was read.", date),
		must("agrees", "Agrees", "Whether the second reader holds the same opinion.", yesNo()),
		may("remarks", "Remarks", "What the second reader adds. Needed if that one does not agree.", text(medium)),
	).needing(need{"agrees", []any{false}, []string{"remarks"}, ReasonSecondReader, "The second reader does not agree. Write what that one holds instead."})
}

func photograph() shape {
	exception := "This departs from the rule for photographs. Say why under exception, or take it again."
	return group(
		must("id", "Name of the photograph", "A short name, such as P1.", label),
		must("kind", "Kind", "orientation shows where on the body, close_up shows the mark, other is neither.", code("orientation", "close_up", "other")),
		must("of", "What it shows", "The part of the body, in words.", text(short)),
		must("scale", "Scale in the picture", "Whether a scale lies beside the mark.", yesNo()),
		must("colour", "Colour", "Whether it is in colour.", yesNo()),
		must("consented", "Agreed to", "The person agreed to this photograph.", yesNo()),
		may("exception", "Why not by the rules", "Why there is no scale, colour or overview.", text(medium)),
		may("taken_at", "Taken at", "When, by the camera's clock.", moment),
		may("taken_by", "Taken by", "Who, by role or reference.", text(short)),
		may("item", "Item", "The item that holds the original file.", item),
		may("sha256", "Digest", "SHA-256 of the original file.", digest),
	).needing(need{"colour", []any{false}, []string{"exception"}, ReasonException, exception})
}

func mark() shape {
	side := 1.0
	return group(
		must("number", "Number", "The number on the map, from 1, each used once.", integer(1, entries)),
		must("map", "Body map", "The map on which it is drawn. The genital map needs a yes of its own.", code(bodyMaps...)),
		must("x", "Position across", "From 0 at the left edge of the map to 1 at the right edge.", number(0, side)),
		must("y", "Position down", "From 0 at the top of the map to 1 at the bottom.", number(0, side)),
		may("path", "Outline", "Points of the outline, on the same scale.", list("Point", entries, group(
			must("x", "Across", "From 0 to 1.", number(0, side)),
			must("y", "Down", "From 0 to 1.", number(0, side))))),
		must("type", "Type", "Bruise, graze, cut, burn, scar and so on.", text(short)),
		must("site", "Place on the body", "In words, such as outer left forearm.", text(short)),
		may("side", "Side", "The body's own left or right.", code("left", "right", "middle", "both")),
		may("length_mm", "Length in mm", "Longest measure.", number(0, 2500)),
		may("width_mm", "Width in mm", "Measured across the length.", number(0, 2500)),
		may("depth_mm", "Depth in mm", "Only if it can be measured without harm.", number(0, 500)),
		may("shape", "Shape", "Round, straight, looped and so on.", text(short)),
		may("colour", "Colour", "Colours as seen. Colour does not date a bruise.", text(short)),
		may("photos", "Photographs", "Names of its photographs, overview first.", list("Photograph", 50, label)),
		must("consented", "Agreed to", "Whether the person agreed to this mark by itself. The genital map needs a yes.", yesNo()))
}

func sample() shape {
	return group(
		must("kit", "Kit", "Number of the kit or container.", text(short)),
		must("seal", "Seal", "Number of the seal.", text(short)),
		must("contents", "Contents", "What was taken, and from where.", text(medium)),
		must("taken_by", "Taken by", "Who, by role or reference.", text(short)),
		must("taken_at", "Taken at", "When.", moment),
		must("condition", "Condition", "Dry, moist, intact, damaged.", text(short)),
		must("storage", "Storage", "Where and how it is kept, with the temperature.", text(short)))
}
