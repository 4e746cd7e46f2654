//! The coordinate systems of maps in China: WGS-84 to GCJ-02 (the published approximation) and on to BD-09.

use std::f64::consts::PI;

/// Semi-major axis of the Krasovsky 1940 ellipsoid, metres.
const AXIS: f64 = 6_378_245.0;
/// Its first eccentricity squared.
const ECCENTRICITY: f64 = 0.006_693_421_622_965_943;
/// Metres of one degree of latitude.
const DEGREE: f64 = 111_195.0;

/// Latitude and longitude, degrees.
pub(super) type Point = (f64, f64);

/// Whether the offset of GCJ-02 is applied at a point.
fn in_china((lat, lon): Point) -> bool {
    (0.8293..=55.8271).contains(&lat) && (72.004..=137.8347).contains(&lon)
}

/// WGS-84 to GCJ-02.
pub(super) fn gcj02(point: Point) -> Point {
    if !in_china(point) {
        return point;
    }
    let (lat, lon) = point;
    let (x, y) = (lon - 105.0, lat - 35.0);
    let common = (20.0 * (6.0 * x * PI).sin() + 20.0 * (2.0 * x * PI).sin()) * 2.0 / 3.0;
    let north = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * x.abs().sqrt()
        + common
        + (20.0 * (y * PI).sin() + 40.0 * (y / 3.0 * PI).sin()) * 2.0 / 3.0
        + (160.0 * (y / 12.0 * PI).sin() + 320.0 * (y * PI / 30.0).sin()) * 2.0 / 3.0;
    let east = 300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * x.abs().sqrt()
        + common
        + (20.0 * (x * PI).sin() + 40.0 * (x / 3.0 * PI).sin()) * 2.0 / 3.0
        + (150.0 * (x / 12.0 * PI).sin() + 300.0 * (x / 30.0 * PI).sin()) * 2.0 / 3.0;
    let radians = lat.to_radians();
    let magic = 1.0 - ECCENTRICITY * radians.sin().powi(2);
    let root = magic.sqrt();
    let north = north * 180.0 / ((AXIS * (1.0 - ECCENTRICITY)) / (magic * root) * PI);
    let east = east * 180.0 / (AXIS / root * radians.cos() * PI);
    (lat + north, lon + east)
}

/// GCJ-02 to BD-09.
pub(super) fn bd09((lat, lon): Point) -> Point {
    let scale = PI * 3000.0 / 180.0;
    let radius = lon.hypot(lat) + 0.000_02 * (lat * scale).sin();
    let angle = lat.atan2(lon) + 0.000_003 * (lon * scale).cos();
    (radius * angle.sin() + 0.006, radius * angle.cos() + 0.0065)
}

/// Metres between two points that are near each other.
pub(super) fn distance(a: Point, b: Point) -> f64 {
    let east = (a.1 - b.1) * ((a.0 + b.0) / 2.0).to_radians().cos();
    (a.0 - b.0).hypot(east) * DEGREE
}

#[cfg(test)]
mod tests {
    use super::{bd09, distance, gcj02};

    #[test]
    fn cities_are_shifted_as_published() {
        let cases = [
            ((39.9075, 116.3913), (0.00140, 0.00624), 555.0, (0.00774, 0.01261), 1376.0),
            ((31.2304, 121.4737), (-0.00194, 0.00452), 481.0, (0.00391, 0.01108), 1140.0),
            ((43.8256, 87.6168), (0.00121, 0.00285), 265.0, (0.00735, 0.00930), 1104.0),
        ];
        for (place, gcj_shift, gcj_metres, bd_shift, bd_metres) in cases {
            let gcj = gcj02(place);
            let bd = bd09(gcj);
            for (to, shift, metres) in [(gcj, gcj_shift, gcj_metres), (bd, bd_shift, bd_metres)] {
                assert!(
                    (to.0 - place.0 - shift.0).abs() < 1e-5 && (to.1 - place.1 - shift.1).abs() < 1e-5,
                    "{place:?} {to:?}"
                );
                assert!((distance(place, to) - metres).abs() < 5.0, "{place:?} {}", distance(place, to));
            }
        }
        assert_eq!(gcj02((51.5, -0.12)), (51.5, -0.12));
    }
}
