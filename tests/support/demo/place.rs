//! Turns WGS-84 coordinates into GCJ-02, the offset system Chinese maps must use. Written from the published
//! formula, independently of the detector under test.

use std::f64::consts::PI;

/// Semi-major axis and squared eccentricity of the Krasovsky 1940 ellipsoid.
const AXIS: f64 = 6_378_245.0;
const ECCENTRICITY2: f64 = 0.006_693_421_622_965_943;

/// Latitude and longitude in GCJ-02 of a place inside China.
pub(super) fn gcj02((lat, lon): (f64, f64)) -> (f64, f64) {
    let (x, y) = (lon - 105.0, lat - 35.0);
    let waves = |a: f64, b: f64, c: f64, ka: f64, kb: f64, kc: f64| {
        (20.0 * (ka * PI).sin() + a * (kb * PI).sin() + b * (kc * PI).sin()) * 2.0 / 3.0 + c
    };
    let common = (20.0 * (6.0 * x * PI).sin() + 20.0 * (2.0 * x * PI).sin()) * 2.0 / 3.0;
    let d_lat = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * x.abs().sqrt()
        + common
        + waves(40.0, 0.0, 0.0, y, y / 3.0, 0.0)
        + (160.0 * (y / 12.0 * PI).sin() + 320.0 * (y * PI / 30.0).sin()) * 2.0 / 3.0;
    let d_lon = 300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * x.abs().sqrt()
        + common
        + waves(40.0, 0.0, 0.0, x, x / 3.0, 0.0)
        + (150.0 * (x / 12.0 * PI).sin() + 300.0 * (x / 30.0 * PI).sin()) * 2.0 / 3.0;
    let radians = lat / 180.0 * PI;
    let magic = 1.0 - ECCENTRICITY2 * radians.sin().powi(2);
    let meridian = AXIS * (1.0 - ECCENTRICITY2) / (magic * magic.sqrt());
    let parallel = AXIS / magic.sqrt() * radians.cos();
    (lat + d_lat * 180.0 / (meridian * PI), lon + d_lon * 180.0 / (parallel * PI))
}
