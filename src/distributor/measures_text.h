/* Measures as OpenMetrics text: what can be said of a distributor whether or not its server runs. */
#ifndef DISTRIBUTOR_MEASURES_TEXT_H
#define DISTRIBUTOR_MEASURES_TEXT_H

#include "distributor/measures.h"
#include "distributor/openmetrics.h"

/* Appends families; openmetrics_begin and openmetrics_end are the caller's. */
void measures_text(struct openmetrics *m, const struct measures *from);

#endif
