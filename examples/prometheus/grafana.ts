// What `grafana.json` has to be, in Grafana's own types: `.ci/run` puts its text after the last
// line, and `tsc` reads both. A name that Grafana does not know is an error, since each object
// here is written where its type is known.
import type { Dashboard, FieldConfig, FieldConfigSource, Panel } from "@grafana/schema";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type { Dataquery } from "@grafana/grafana-foundation-sdk/prometheus";
import type * as units from "@grafana/grafana-foundation-sdk/units";

/** A type as JSON has it: of a method nothing, of an enumeration the values. */
type Json<T> = T extends string
  ? `${T}`
  : T extends number
    ? (`${T}` extends `${infer N extends number}` ? N : T)
    : T extends (...args: never[]) => unknown
      ? never
      : T extends (infer E)[]
        ? Json<E>[]
        : T extends object
          ? { [K in keyof T as T[K] extends (...args: never[]) => unknown ? never : K]: Json<T[K]> }
          : T;

/** `Panel` leaves to each kind of panel and of data source what these say of themselves. */
interface TimeSeries extends Omit<Panel, "type" | "options" | "fieldConfig" | "targets"> {
  type: "timeseries";
  options: timeseries.Options;
  fieldConfig: Omit<FieldConfigSource, "defaults"> & {
    defaults: Omit<FieldConfig, "unit" | "custom"> & {
      unit: (typeof units)[keyof typeof units];
      custom?: timeseries.FieldConfig;
    };
  };
  targets: Dataquery[];
}

type Shown = Json<Omit<Dashboard, "panels"> & { panels: TimeSeries[] }>;

export const dashboard: Shown =
