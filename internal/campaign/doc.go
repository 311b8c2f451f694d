// Package campaign holds no code, only tests: many people work with a vault at once, through the real clients, while the vault is killed
// (TestKilledVault), its ports fail (TestStorms), or a person's own program is killed (TestKilledClient). See QUALITY §2.
//
// What the vault says is taken from the wire. Whatever happens: what was acknowledged is there once, with the index of its receipt; what
// was done once is there once; nothing is released on an event that is not in the log; every checkpoint ever given away is extended by the
// log; fsck finds nothing; what is pending is included without anybody's help; and no honest vault makes a client raise an alarm.
//
// Nothing of the product may import it. STRONGROOM_SEED repeats a run as nearly as the machine's timing allows. STRONGROOM_LONG=1 makes it
// long; STRONGROOM_KILLS, STRONGROOM_VAULTS and STRONGROOM_FILES say exactly how long each of the three shall be.
//
// What it cannot show: SIGKILL leaves what the kernel has taken, so a missing fsync goes unnoticed here.
package campaign
