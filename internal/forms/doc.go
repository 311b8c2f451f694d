// Package forms owns the sealed documents of the domain: the clinical record and its version without opinions (RULES §5), the
// acquisition record (RULES §6), the consent form (RULES §4) and the identity of a person (RULES §2). They travel inside the sealed
// description of an item (FORMATS §8), so no server ever reads one.
//
// Each document is a table: its fields in the order of reading, with titles and explanations for the person who writes it, and the rules
// that tie fields together. Parsing, the blank document, the text for people, the comparison of two versions and the JSON Schemas in
// api/forms are all made from that one table, so they cannot disagree.
//
// The page for print says the same headings and codes in each of five languages (titles.json); what somebody wrote stays as it was written.
//
// The figures of the body maps are here too, with the names of what they show: the page for print draws a record's marks on them, and the
// pages of package web have the same ones. A mark's place is a part of its figure, so a figure that was published is never changed.
//
// It may assume nothing about the bytes it is given. It reads no file and no clock, and its problems never repeat what somebody wrote.
package forms
