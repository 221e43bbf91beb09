/* What a plug-in of hearth-player is: a shared object with the LADSPA interface (ladspa.h) for what it does to the sound, and the two functions
 * below. The first descriptor is used, with the defaults of its control ports; it has as many audio inputs as outputs, one or two.
 *
 * It runs in the player's sandbox: no files, no network, no other processes; libraries other than libc and libm are not there. It needs nothing of
 * this project but this file. */
#ifndef HEARTH_PLUGIN_H
#define HEARTH_PLUGIN_H

#ifdef __cplusplus
extern "C" {
#endif

#define HEARTH_PLUGIN_INFORMATION_BYTES 32
#define HEARTH_PLUGIN_MARK_BYTES 8

/* Called once, before anything else. information: what is specific to this plug-in on this device, the same at each download: a mark of
 * HEARTH_PLUGIN_MARK_BYTES, by which the distributor knows the device, then a secret. 0, or another value: it does not work here. */
int hearth_plugin_begin(const unsigned char information[HEARTH_PLUGIN_INFORMATION_BYTES]);
/* How many samples have gone through it so far. When none did, the player takes it that the sound went past the plug-in, and stops. */
unsigned long hearth_plugin_frames(void);

#ifdef __cplusplus
}
#endif
#endif
