package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
)

// sampleMark stands in every text that the demo makes up. The vault's folder is searched for it.
const sampleMark = "SYNTHETIC SAMPLE"

const sampleNote = `SYNTHETIC SAMPLE. No person, no injury, no place in it is real.

Clinical note to photograph 1
Region       left forearm, back
Observed     one bruise, oval, 32 mm long and 18 mm wide, blue to green
Said by them "It happened four days ago."
Opinion      the colour is consistent with that time
`

const sampleMessages = `SYNTHETIC SAMPLE. No account and no message in it is real.

2026-03-01T20:14:03Z  account A  You will not speak to anyone.
2026-03-01T20:14:41Z  account B  (read)
2026-03-01T20:15:10Z  account A  Your papers stay with me.
`

const sampleConsent = `SYNTHETIC SAMPLE. This form stands for one that a person signs.

Language of the talk   English, no interpreter needed
Explained              what is kept, who could see it, that "no" is an answer to
                       each point, and that care stays the same
Examination            yes
Photographs            yes
Keep this record       yes
Police, prosecutor     findings: no   photographs: no   objects: no
Courts in NL           findings: yes  photographs: yes  objects: no
Research, teaching     no
Contact                none; the person will come back on a day of their choice
Mark                   signed on paper, original with the clinic
`

const sampleAuthority = sampleMark + ". Examining judge\nOrder 2026/117: copy the messages of account A; ends with the inquiry\nCode of procedure, article 105\nGDPR Art. 9(2)(f)"

// writeSamples makes the files that are used when none are given.
func writeSamples(dir string) ([]string, error) {
	photograph := filepath.Join(dir, "photograph 1.png")
	note := filepath.Join(dir, "note to photograph 1.txt")
	if err := writePhotograph(photograph); err != nil {
		return nil, err
	}
	return []string{photograph, note}, os.WriteFile(note, []byte(sampleNote), 0o600)
}

// writePhotograph draws what nobody takes for a real photograph: a gradient with an oval, a scale of centimetres, and the word SAMPLE.
func writePhotograph(path string) error {
	const width, height, centimetre = 640, 420, 80
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.RGBA{uint8(222 - x/16), uint8(196 - y/12), uint8(178 - (x+y)/24), 255}
			if dx, dy := (x-300)*(x-300), (y-170)*(y-170); dx*81+dy*256 < 128*128*81 {
				c = color.RGBA{uint8(120 + dx/400), uint8(110 + dy/200), uint8(150 - dx/500), 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	fill := func(x, y, w, h int, c color.Color) {
		for j := range h {
			for i := range w {
				m.Set(x+i, y+j, c)
			}
		}
	}
	for i := range 6 { // alternating centimetres
		shade := color.Gray{uint8(255 * (i % 2))}
		fill(80+i*centimetre, 340, centimetre, 24, shade)
	}
	// Five rows of three pixels for each letter, most significant bit left.
	letters := [...][5]uint8{{7, 4, 7, 1, 7}, {7, 5, 7, 5, 5}, {5, 7, 7, 5, 5}, {7, 5, 7, 4, 4}, {4, 4, 4, 4, 7}, {7, 4, 6, 4, 7}}
	for i, letter := range letters {
		for row, bits := range letter {
			for column := range 3 {
				if bits>>(2-column)&1 == 1 {
					fill(80+i*40+column*9, 20+row*9, 9, 9, color.Black)
				}
			}
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := png.Encode(f, m); err != nil {
		return err
	}
	return f.Close()
}
