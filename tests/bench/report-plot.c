// SPDX-License-Identifier: MIT
/*
 * One small plot per row: the cumulative distribution of both sides' samples, on one logarithmic axis
 * from the fastest sample to a little beyond the slower side's p99. Writes SVG.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "report.h"

#define COLUMNS     3
#define CELL_WIDTH  380
#define CELL_HEIGHT 230
#define LEFT        44
#define TOP         54
#define PLOT_WIDTH  310
#define PLOT_HEIGHT 126
#define HEAD        48
#define STEPS       200 /* points of a curve */

#define OURS_COLOUR "#0b6e4f"
#define RAW_COLOUR  "#c44536"

struct axis {
	double low; /* logarithms */
	double high;
};

static bool plotted(const struct result *result)
{
	return result->state == RESULT_DONE && result->ours_samples.count >= 2 &&
	       result->raw_samples.count >= 2;
}

static void text_escape(const char *text, FILE *file)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", file);
			break;
		case '>':
			fputs("&gt;", file);
			break;
		case '&':
			fputs("&amp;", file);
			break;
		default:
			fputc(*text, file);
		}
	}
}

static struct axis axis_of(const struct result *result)
{
	const struct samples *ours = &result->ours_samples, *raw = &result->raw_samples;
	double low = fmin(samples_quantile(ours, 0), samples_quantile(raw, 0));
	double high = fmax(samples_quantile(ours, 0.995), samples_quantile(raw, 0.995));
	struct axis axis = { log10(fmax(low, 0.01)), log10(fmax(high, 0.02)) };
	double margin = fmax((axis.high - axis.low) * 0.04, 0.02);
	axis.low -= margin;
	axis.high += margin;
	return axis;
}

static double axis_x(const struct axis *axis, double value)
{
	double part = (log10(fmax(value, 0.01)) - axis->low) / (axis->high - axis->low);
	return LEFT + PLOT_WIDTH * fmin(fmax(part, 0), 1);
}

static void axis_tick(const struct axis *axis, double value, const char *unit, FILE *file)
{
	char text[QUANTITY_SIZE];
	double x = axis_x(axis, value);
	quantity_text(value, unit, text);
	fprintf(file,
		"<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' class='grid'/>"
		"<text x='%.1f' y='%d' class='tick' text-anchor='middle'>%s</text>\n",
		x, TOP, x, TOP + PLOT_HEIGHT, x, TOP + PLOT_HEIGHT + 14, text);
}

/* Ticks at 1, 2 and 5 times the powers of ten; only at the powers when the axis is long. */
static void axis_draw(const struct axis *axis, const char *unit, FILE *file)
{
	static const int factors[] = { 1, 2, 5 };
	double decades = axis->high - axis->low;
	size_t used = decades < 1.6 ? 3 : 1;
	unsigned int drawn = 0;
	for (int power = (int)floor(axis->low); power <= (int)ceil(axis->high); power++) {
		for (size_t i = 0; i < used; i++) {
			double value = factors[i] * pow(10, power);
			if (log10(value) >= axis->low && log10(value) <= axis->high) {
				axis_tick(axis, value, unit, file);
				drawn++;
			}
		}
	}
	if (drawn < 2) { /* too narrow for round numbers */
		axis_tick(axis, pow(10, axis->low + decades * 0.1), unit, file);
		axis_tick(axis, pow(10, axis->high - decades * 0.1), unit, file);
	}
	for (int part = 0; part <= 4; part++) {
		double y = TOP + PLOT_HEIGHT * (1 - part / 4.0);
		fprintf(file,
			"<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' class='grid'/>"
			"<text x='%d' y='%.1f' class='tick' text-anchor='end'>%d%%</text>\n",
			LEFT, y, LEFT + PLOT_WIDTH, y, LEFT - 5, y + 3.5, part * 25);
	}
}

static void curve_draw(const struct axis *axis, const struct samples *samples, double median,
		       const char *colour, FILE *file)
{
	fprintf(file, "<polyline fill='none' stroke='%s' stroke-width='1.8' points='", colour);
	for (int step = 0; step <= STEPS; step++) {
		double part = (double)step / STEPS;
		fprintf(file, "%.1f,%.1f ", axis_x(axis, samples_quantile(samples, part)),
			TOP + PLOT_HEIGHT * (1 - part));
	}
	fprintf(file, "'/>\n<circle cx='%.1f' cy='%.1f' r='3' fill='%s'/>\n", axis_x(axis, median),
		TOP + PLOT_HEIGHT / 2.0, colour);
}

static void legend_draw(int x, const char *colour, const char *side, double value, const char *unit,
			FILE *file)
{
	char text[QUANTITY_SIZE];
	quantity_text(value, unit, text);
	fprintf(file, "<text x='%d' y='44' class='small' fill='%s'>%s %s</text>\n", x, colour, side,
		text);
}

static void cell_draw(const struct result *result, size_t place, FILE *file)
{
	struct axis axis = axis_of(result);
	const char *unit = row_unit(result->row);
	fprintf(file, "<g transform='translate(%zu,%zu)'>\n", place % COLUMNS * CELL_WIDTH,
		HEAD + place / COLUMNS * CELL_HEIGHT);
	fprintf(file,
		"<text x='%d' y='16' class='name'>%s</text>\n<text x='%d' y='30' class='small'>",
		LEFT, result->row->name, LEFT);
	text_escape(result->row->title, file);
	fputs("</text>\n", file);
	legend_draw(LEFT, OURS_COLOUR, "ours", result->ours, unit, file);
	legend_draw(LEFT + 105, RAW_COLOUR, "raw", result->raw, unit, file);
	fprintf(file, "<text x='%d' y='44' class='small' text-anchor='end'>ratio %.3g, %s</text>\n",
		LEFT + PLOT_WIDTH, result->ratio, result_verdict(result));
	axis_draw(&axis, unit, file);
	curve_draw(&axis, &result->raw_samples, samples_quantile(&result->raw_samples, 0.5),
		   RAW_COLOUR, file);
	curve_draw(&axis, &result->ours_samples, samples_quantile(&result->ours_samples, 0.5),
		   OURS_COLOUR, file);
	fputs("</g>\n", file);
}

static void picture_draw(const struct result *results, size_t count, FILE *file)
{
	size_t cells = 0;
	for (size_t i = 0; i < count; i++) {
		cells += plotted(&results[i]);
	}
	size_t rows = (cells + COLUMNS - 1) / COLUMNS;
	fprintf(file,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%zu' "
		"font-family='sans-serif'>\n<style>.grid{stroke:#ddd;stroke-width:1}"
		".tick{font-size:9px;fill:#555}.small{font-size:10.5px}"
		".name{font-size:13px;font-weight:bold}</style>\n"
		"<rect width='100%%' height='100%%' fill='white'/>\n"
		"<text x='%d' y='22' font-size='15'>fence-bench: share of the samples that took "
		"at most so long</text>\n<text x='%d' y='40' class='small'>",
		COLUMNS * CELL_WIDTH, HEAD + rows * CELL_HEIGHT, LEFT, LEFT);
	text_escape(host_cpu_name(), file);
	fprintf(file,
		", %u CPUs; <tspan fill='%s'>ours</tspan>, <tspan fill='%s'>raw</tspan>; "
		"dots are medians</text>\n",
		host_cpus(), OURS_COLOUR, RAW_COLOUR);
	size_t place = 0;
	for (size_t i = 0; i < count; i++) {
		if (plotted(&results[i])) {
			cell_draw(&results[i], place++, file);
		}
	}
	fputs("</svg>\n", file);
}

int report_plot(const struct result *results, size_t count, const char *path)
{
	FILE *file = fopen(path, "we");
	if (!file) {
		return -errno;
	}
	picture_draw(results, count, file);
	int failed = ferror(file);
	return fclose(file) != 0 || failed ? -EIO : 0;
}
