package scan

import (
	"bytes"
	"encoding/binary"
)

// pictures looks for the blocks in which cameras write (Exif 2.32, TIFF 6.0), wherever they lie: JPEG, PNG, WebP, HEIC and TIFF hold the
// same one.
func (s *Scanner) pictures(part string, b []byte) {
	if order(b) != nil {
		s.block(part, b)
	}
	for _, before := range []string{"Exif\x00\x00", "eXIf", "EXIF"} {
		rest := b
		for range maxBlocks {
			i := bytes.Index(rest, []byte(before))
			if i < 0 {
				break
			}
			rest = rest[i+len(before):]
			if head := rest[:min(len(rest), 16)]; order(head) != nil {
				s.block(part, rest)
			} else if before == "EXIF" && len(rest) > 4 && order(rest[4:]) != nil { // WebP: its size comes between
				s.block(part, rest[4:])
			}
		}
	}
}

const (
	maxBlocks = 64
	maxTags   = 1000 // of one directory
)

// order is the byte order of a TIFF block, nil if none begins here.
func order(b []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(b, []byte("II*\x00")):
		return binary.LittleEndian
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		return binary.BigEndian
	}
	return nil
}

// Tags, as Exif 2.32 and DNG name them.
const (
	tagExif         = 0x8769 // the directory of the camera
	tagGPS          = 0x8825 // the directory of the place
	tagCameraSerial = 0xC62F
	tagBodySerial   = 0xA431
	tagLensSerial   = 0xA435
	tagLatitude     = 0x0002 // in the directory of the place
	tagLongitude    = 0x0004
)

// block looks through the directories of a TIFF block: the first, the camera's, the place's.
func (s *Scanner) block(part string, b []byte) {
	o := order(b)
	if len(b) < 8 {
		return
	}
	for _, e := range directory(b, o, o.Uint32(b[4:])) {
		switch e.tag {
		case tagCameraSerial:
			s.add(Finding{Kind: Serial, Where: part + ", camera"})
		case tagExif:
			for _, e := range directory(b, o, e.value) {
				if e.tag == tagBodySerial || e.tag == tagLensSerial {
					s.add(Finding{Kind: Serial, Where: part + ", camera"})
				}
			}
		case tagGPS:
			for _, e := range directory(b, o, e.value) {
				if e.tag == tagLatitude || e.tag == tagLongitude {
					s.add(Finding{Kind: Place, Where: part + ", camera"})
				}
			}
		}
	}
}

type tag struct {
	tag   uint16
	value uint32 // or where it lies
}

// directory reads the entries at an offset, as far as there are any.
func directory(b []byte, o binary.ByteOrder, at uint32) (list []tag) {
	if uint64(at)+2 > uint64(len(b)) {
		return nil
	}
	n := min(int(o.Uint16(b[at:])), maxTags)
	rest := b[at+2:]
	for ; n > 0 && len(rest) >= 12; n, rest = n-1, rest[12:] {
		list = append(list, tag{o.Uint16(rest), o.Uint32(rest[8:])})
	}
	return list
}
