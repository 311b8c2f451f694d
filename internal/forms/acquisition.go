package forms

import "time"

var acquisition = table{Acquisition, "Acquisition record",
	"How a digital item was acquired, following ISO/IEC 27037. Each field states a value, where it comes from and how sure one is, or why it is not known: {\"unknown\": \"because\"}.",
	acquisitionShape(), acquisitionRules}

func acquisitionShape() shape {
	line, words := stated(text(short)), stated(text(medium))
	return group(
		must("schema", "Schema", "The kind of document, always the same.", code(string(Acquisition))),
		must("method", "Method", "disk_image: a whole medium. device_extraction: through the device's own system. file_copy: chosen files. live_system: a running computer. online_capture: from the network. received: handed over by others. screenshot: a picture of a screen and nothing else.",
			stated(code("disk_image", "device_extraction", "file_copy", "live_system", "online_capture", "received", "screenshot"))),
		must("tool", "Tool", "The program or device used.", group(
			must("name", "Name", "Its name.", line),
			must("version", "Version", "Its version.", line),
			must("settings", "Settings", "Settings other than the usual ones.", words),
			must("command_line", "Command line", "Exactly as it ran.", words))),
		must("device", "Source device", "What it was acquired from.", group(
			must("make", "Make", "The manufacturer.", line),
			must("model", "Model", "The model.", line),
			must("serial", "Serial number", "Also IMEI and the like.", line),
			must("storage_ids", "Storage", "Serial numbers or ids of disks and cards.", stated(list("Storage", 100, text(short)))))),
		must("write_blocker", "Write blocker", "What kept the source from being changed.", group(
			must("model", "Model", "Make and model.", line),
			must("test", "Test", "When and how it was last tested, with the result.", words))),
		must("place", "Place", "Where it was acquired.", line),
		must("persons_present", "Persons present", "By role or reference.", stated(list("Person", 50, text(short)))),
		must("clock", "Clock of the source", "What the source took for the time.", group(
			must("time_zone", "Time zone", "As set on the source.", line),
			must("offset_seconds", "Offset in seconds", "Source clock minus true time; negative if it is slow.", stated(number(-1e10, 1e10))))),
		must("start", "Start", "When the acquisition began.", stated(moment)),
		must("end", "End", "When it ended.", stated(moment)),
		must("errors", "Errors", "What the tool reported, read errors too; or none.", words),
		must("digests", "Digests", "SHA-256, made before any other processing.", group(
			must("source", "Of the source", "Of what was read.", stated(digest)),
			must("image", "Of the image", "Of the file that was made. Equal to the source for a plain copy.", stated(digest)))),
		must("authority", "Authority", "What allowed the acquisition.", group(
			must("type", "Type", "Warrant, order, consent, law.", line),
			must("number", "Number", "Its number or date.", line),
			must("validity", "Validity", "From when to when, and for what.", line))),
		must("handler_competence", "Competence of the handler", "Training and experience of who acquired it; no name.", words),
		must("received_via", "Received by", "How it came, if others handed it over.", stated(code("messenger", "mail", "hand"))),
		must("assurance", "Assurance", "controlled_capture: under control from the start. verified_later: compared with other material. unverified: neither.",
			stated(code("controlled_capture", "verified_later", "unverified"))),
		may("corroborating", "Corroborating items", "Items that bear it out.", stated(list("Item", 100, item))),
		must("unavoidable_changes", "Unavoidable changes", "What the acquisition changed on the source, who answers for it and why.", list("Change", 100, group(
			must("change", "Change", "What was changed.", text(medium)),
			must("answered_by", "Answered for by", "Who answers for it, by role or reference.", text(short)),
			must("reason", "Reason", "Why it could not be avoided.", text(medium)))).orReason("none")),
		may("c2pa", "Content credentials (C2PA)", "The result of checking a manifest inside the original, which stays there.", words),
		may("online", "Online capture", "What belongs to something captured from the network. Needed for the method online_capture.", onlineShape()),
	).needing(
		need{"method.value", []any{"online_capture"}, []string{"online"}, ReasonOnline, "An online capture has details of its own: address, page source, full picture, WACZ. Fill in this section."},
		need{"assurance.value", []any{"verified_later"}, []string{"corroborating"}, ReasonCorroborated, "The item was verified later. Name the items that bear it out, or say why there are none."})
}

func onlineShape() shape {
	line, words := stated(text(short)), stated(text(medium))
	file := group(
		must("name", "File", "Its name.", text(short)),
		must("sha256", "Digest", "SHA-256 of the file.", digest),
		may("item", "Item", "The item that holds it.", item))
	return group(
		must("url", "Address", "As it was asked for.", words),
		must("final_url", "Final address", "Where the browser ended.", words),
		must("page_source", "Page source", "The file with the source of the page.", stated(file)),
		must("full_page_image", "Full picture", "The picture of the whole page.", stated(file)),
		must("embedded_media", "Embedded media", "Pictures and films in the page, as files.", stated(list("File", entries, file))),
		must("media_metadata", "Metadata of the media", "What the media themselves say of time, place and device.", words),
		must("context", "Context", "What stood around it on the page.", group(
			must("uploader", "Uploaded by", "Account or name shown.", line),
			must("uploaded_at", "Upload date", "As the page shows it.", line),
			must("comments", "Comments", "Comments that matter, or where they are kept.", words))),
		must("collector", "Collector", "Who captured it, by role or reference.", line),
		must("network_address", "Network address", "From which it was captured.", line),
		must("virtual_identity", "Virtual identity", "The account used to see it, if any.", line),
		must("browser", "Browser", "Name and version.", line),
		must("capture_start", "Capture began", "When the first request was made.", stated(moment)),
		must("capture_end", "Capture ended", "When the last answer was kept.", stated(moment)),
		must("wacz", "Web archive (WACZ)", "The archive of the whole exchange.", stated(file)))
}

func acquisitionRules(d map[string]any, c *check) {
	c.span(d, "start.value", "end.value")
	c.span(d, "online.capture_start.value", "online.capture_end.value")
	_, online := d["online"]
	address := lookup(d, "online.url.value") != nil
	archive := lookup(d, "online.wacz.value") != nil || lookup(d, "online.page_source.value") != nil
	switch {
	case textAt(d, "method.value") == "screenshot" && !online:
		c.add(Ask, "online", ReasonScreenshot, "A picture of a screen alone proves little. Ask for the address and make a web archive (WACZ) while the page is still there.")
	case online && !address:
		c.add(Ask, "online.url", ReasonScreenshot, "There is a picture but no address. Ask whoever captured it where it was seen.")
	case online && !archive:
		c.add(Ask, "online.wacz", ReasonScreenshot, "There is a picture but neither page source nor web archive. Make a WACZ while the page is still there.")
	}
}

// span reports an end before its start. Both keep their zones, so they are compared as instants.
func (c *check) span(d any, start, end string) {
	from, err := time.Parse(time.RFC3339, textAt(d, start))
	until, err2 := time.Parse(time.RFC3339, textAt(d, end))
	if err == nil && err2 == nil && until.Before(from) {
		c.add(Unfinished, end, ReasonOrder, "This ends before it began. Correct one of the two times.")
	}
}
