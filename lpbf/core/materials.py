"""Materials by name, as built by LPBF and not heat-treated.

Each material lists the sources of its values. "Typical" marks a rounded value from a spread of
published ones, not one measurement.

Written down from memory of their source and not compared with it: Mills' table of Ti-6Al-4V, the
decrease of the yield stress of 316L (EN 1993-1-2) and AlSi10Mg (die-cast 360.0) with temperature,
the decrease of Young's modulus of 316L above 700 C (EN 1993-1-2), EOS' yield and tensile strengths
of Ti64 and IN718; of Special Metals' tables of IN625 all but their first and last rows.

Tables end at or below the solidus and are constant above, so the melt has the conductivity of the
hot solid. Density does not depend on temperature, nor do elasticity and expansion of AlSi10Mg.
"""

from flare_mesh.choices import check_choice
from lpbf.core.material import Material
from lpbf.core.table import Table

# Secant of the true stress from yield to the uniform elongation: too soft just after yielding, too
# stiff at large strains.
_HARDENING = (
    "hardening_modulus: secant from the data sheet's yield and tensile strength, with a uniform "
    "elongation of three quarters of that at break; its decrease with temperature is assumed to be "
    "that of the yield stress, as in the product of Johnson and Cook (1983)"
)


def _scaled(at_room: float, ratio: dict[int, float]) -> Table:
    """A property at 25 C, and its ratio to that by temperature."""
    return Table((25.0, *ratio), (at_room, *(at_room * value for value in ratio.values())))


# Yield stress over that at 25 C by temperature.
_TITANIUM_STRENGTH = {150: 0.80, 260: 0.70, 370: 0.62, 540: 0.50}
_TITANIUM_STRENGTH |= {800: 0.12, 1000: 0.03, 1604: 0.01}
_STEEL_STRENGTH = {100: 0.88, 200: 0.76, 300: 0.71, 400: 0.66, 500: 0.63, 600: 0.61, 700: 0.51}
_STEEL_STRENGTH |= {800: 0.40, 900: 0.19, 1000: 0.10, 1100: 0.05, 1200: 0.02, 1385: 0.01}
_NICKEL_STRENGTH = {427: 0.888, 538: 0.870, 649: 0.834, 760: 0.625, 871: 0.204, 1260: 0.01}
_ALUMINIUM_STRENGTH = {100: 0.98, 150: 0.93, 205: 0.57, 260: 0.30, 315: 0.18, 370: 0.12, 557: 0.02}

TI_6AL_4V = Material(
    "Ti-6Al-4V",
    youngs_modulus=_scaled(
        113_800.0,
        {100: 0.985, 200: 0.933, 300: 0.886, 400: 0.840, 500: 0.788, 600: 0.735}
        | {700: 0.690, 800: 0.641, 835: 0.62, 960: 0.47, 980: 0.35},
    ),
    poisson_ratio=0.342,
    yield_stress=_scaled(1060.0, _TITANIUM_STRENGTH),
    hardening_modulus=_scaled(3600.0, _TITANIUM_STRENGTH),
    thermal_expansion=Table((25, 100, 315, 650), (8.6e-6, 8.6e-6, 9.2e-6, 9.7e-6)),
    density=4420.0,
    # The alpha phase up to 994 C, then beta; the heat of the transformation (48 kJ/kg) is left out.
    conductivity=Table(
        (25, 100, 200, 300, 400, 500, 600, 700, 800, 900, 994, 996, 1200, 1400, 1600),
        (7.0, 7.45, 8.75, 10.15, 11.35, 12.6, 14.2, 15.5, 17.8, 20.2, 22.7, 19.3, 22.9, 24.6, 27),
    ),
    specific_heat=Table(
        (25, 100, 200, 300, 400, 500, 600, 700, 800, 900, 994, 996, 1200, 1400, 1600),
        (546, 562, 584, 606, 629, 651, 673, 694, 714, 734, 753, 641, 678, 714, 750),
    ),
    solidus=1604.0,
    liquidus=1650.0,
    latent_heat=286_000.0,
    sources=(
        "youngs_modulus, poisson_ratio: ASM / MatWeb, annealed bar, typical; the decrease of E "
        "with temperature from M. Fukuhara and A. Sanpei, J. Mater. Sci. Lett. 12 (1993), doi "
        "10.1007/bf00420541, whose values (103 GPa at 25 C) are as digitised in BELFEM",
        "yield_stress: at 25 C EOS Titanium Ti64 data sheet, as built, horizontal; its decrease "
        "to 370 C from annealed grade 5 in suppliers' data sheets (724, 641, 565 MPa at 150, "
        "260, 370 C against a typical 910 MPa); above that typical, within a third",
        f"{_HARDENING} (EOS: 1060 and 1230 MPa, 10 %)",
        "thermal_expansion: MatWeb, annealed bar, means of 20-100, 20-315 and 20-650 C",
        "density, conductivity, specific_heat, solidus, liquidus, latent_heat: K. C. Mills, "
        "Recommended Values of Thermophysical Properties for Selected Commercial Alloys (2002)",
    ),
)

STEEL_316L = Material(
    "316L",
    youngs_modulus=_scaled(
        193_000.0,
        {100: 0.969, 200: 0.938, 300: 0.903, 400: 0.867, 500: 0.821, 600: 0.774, 700: 0.718}
        | {800: 0.63, 900: 0.45, 1000: 0.20, 1100: 0.10},
    ),
    poisson_ratio=0.27,
    yield_stress=_scaled(510.0, _STEEL_STRENGTH),
    hardening_modulus=_scaled(1000.0, _STEEL_STRENGTH),
    thermal_expansion=Table(
        (25, 200, 400, 600, 800, 1000, 1300),
        (16.5e-6, 17.2e-6, 18.0e-6, 18.7e-6, 19.3e-6, 19.9e-6, 20.5e-6),
    ),
    density=7970.0,
    conductivity=Table(
        (25, 100, 200, 400, 600, 800, 1000, 1200, 1300),
        (13.8, 15.4, 17.5, 21.3, 24.5, 27.0, 29.1, 30.5, 31.0),
    ),
    specific_heat=Table(
        (25, 100, 200, 400, 600, 800, 1000, 1200, 1300),
        (483, 496, 514, 551, 587, 623, 660, 696, 714),
    ),
    solidus=1385.0,
    liquidus=1450.0,
    latent_heat=268_000.0,
    sources=(
        "youngs_modulus, poisson_ratio: wrought 316L, typical; the decrease of E to 700 C from "
        "ASME II D, material group G (195 GPa at 25 C), as quoted in an example of FeenoX; above "
        "from EN 1993-1-2, annex C",
        "yield_stress: at 25 C the mean of horizontal and vertical (540, 480 MPa), EOS "
        "StainlessSteel 316L-4441 data sheet for the M 290, 20 um, as manufactured; its decrease "
        "from the 0.2 % proof strength of wrought 1.4404 in EN 1993-1-2, annex C; at 1200 C and "
        "above (where that gives 0) an assumption",
        f"{_HARDENING} (the same data sheet: 480-540 and 560-645 MPa, 38-49 %)",
        "thermal_expansion: B. Mihaila et al., J. Nucl. Mater. 394 (2009) 182, 316, as quoted in "
        "AMP; taken as the mean coefficient (the data sheet's mean of 25-400 C is 2 % lower)",
        "density: the same data sheet",
        "conductivity, specific_heat: K. C. Mills, Recommended Values of Thermophysical "
        "Properties for Selected Commercial Alloys (2002), 316, by the polynomials that MOOSE's "
        "ThermalSS316Properties fits to it (25-1300 C); solidus and liquidus from there too",
        "latent_heat: C. S. Kim, Thermophysical Properties of Stainless Steels, ANL-75-55 (1975), "
        "as quoted in ORNL's mist",
    ),
)

IN718 = Material(
    "IN718",
    youngs_modulus=_scaled(
        200_000.0,
        {93: 0.986, 204: 0.971, 316: 0.933, 427: 0.894, 538: 0.861, 649: 0.827, 760: 0.779}
        | {871: 0.611, 954: 0.375},
    ),
    poisson_ratio=0.294,
    yield_stress=_scaled(700.0, _NICKEL_STRENGTH),
    hardening_modulus=_scaled(2700.0, _NICKEL_STRENGTH),
    thermal_expansion=Table(
        (25, 93, 204, 316, 427, 538, 649, 760),
        (12.8e-6, 12.8e-6, 13.5e-6, 13.9e-6, 14.2e-6, 14.4e-6, 15.1e-6, 16.0e-6),
    ),
    density=8170.0,
    # Straight from 527 to 900 C, where phase transformations leave no single value.
    conductivity=Table(
        (25, 100, 200, 300, 400, 500, 527, 900, 1000, 1088),
        (9.95, 11.2, 12.8, 14.5, 16.1, 17.9, 18.3, 23.4, 24.2, 25.0),
    ),
    specific_heat=Table(
        (25, 100, 200, 300, 400, 500, 527, 600, 797, 1088),
        (425, 441, 462, 483, 505, 526, 532, 578, 635, 634),
    ),
    solidus=1260.0,
    liquidus=1336.0,
    latent_heat=210_000.0,
    sources=(
        "youngs_modulus: Haynes 718 brochure, wrought; parts as built are often 20 % softer along "
        "the build direction; its decrease with temperature from High Temp Metals' data sheet of "
        "Inconel 718 (208 GPa at 21 C)",
        "poisson_ratio, solidus, liquidus: Special Metals, INCONEL alloy 718, SMC-045 (2007)",
        "yield_stress: at 25 C the mean of horizontal and vertical (780, 634 MPa), rounded, EOS "
        "NickelAlloy IN718 data sheet, as built; its decrease to 871 C from aged plate in the "
        "Haynes 718 brochure (1157 MPa at 25 C; 1027, 1006, 965, 723, 236 MPa at 427, 538, 649, "
        "760, 871 C); at the solidus an assumption",
        f"{_HARDENING} (EOS: 634-780 and 980-1060 MPa, 31-27 %)",
        "thermal_expansion: High Temp Metals' data sheet, means from 25 C",
        "density, conductivity, specific_heat: A. Sh. Agazhanov et al., Thermophysical properties "
        "of Inconel 718 alloy, J. Phys.: Conf. Ser. 1382 (2019) 012175, equations 1-3 and 9-10",
        "latent_heat: K. C. Mills, Recommended Values of Thermophysical Properties for Selected "
        "Commercial Alloys (2002)",
    ),
)

IN625 = Material(
    "IN625",
    youngs_modulus=_scaled(
        207_500.0,
        {93: 0.984, 204: 0.954, 316: 0.924, 427: 0.894, 538: 0.861, 649: 0.821, 760: 0.774}
        | {871: 0.711},
    ),
    poisson_ratio=0.278,
    yield_stress=_scaled(640.0, _NICKEL_STRENGTH),
    hardening_modulus=_scaled(3100.0, _NICKEL_STRENGTH),
    thermal_expansion=Table(
        (25, 93, 204, 316, 427, 538, 649, 760, 871, 927),
        (12.8e-6, 12.8e-6, 13.1e-6, 13.3e-6, 13.7e-6, 14.0e-6, 14.8e-6, 15.3e-6, 15.8e-6, 16.2e-6),
    ),
    density=8440.0,
    conductivity=Table(
        (25, 93, 204, 316, 427, 538, 649, 760, 871, 982),
        (9.8, 10.8, 12.5, 14.1, 15.7, 17.5, 19.0, 20.8, 22.8, 25.2),
    ),
    specific_heat=Table(
        (25, 93, 204, 316, 427, 538, 649, 760, 871, 982, 1093),
        (410, 427, 456, 481, 511, 536, 565, 590, 620, 645, 670),
    ),
    solidus=1290.0,
    liquidus=1350.0,
    latent_heat=227_000.0,
    sources=(
        "youngs_modulus, poisson_ratio, thermal_expansion, density, conductivity, specific_heat, "
        "solidus, liquidus: Special Metals, INCONEL alloy 625, SMC-063 (2006), annealed; rows at "
        "21 C stand at 25 C",
        "yield_stress: at 25 C a machine maker's data sheet, JAMPT's table of mechanical "
        "properties, LBM (640 MPa; the bridge of AM-Bench 2018-01 needs 800 to 870 MPa, see "
        "docs/lpbf.md); its decrease is an assumption, that of IN718",
        f"{_HARDENING} (the same table: 640 and 920 MPa, 20 %)",
        "latent_heat: typical of published simulations of IN625",
    ),
)

ALSI10MG = Material(
    "AlSi10Mg",
    youngs_modulus=72_500.0,
    poisson_ratio=0.33,
    yield_stress=_scaled(255.0, _ALUMINIUM_STRENGTH),
    hardening_modulus=_scaled(4000.0, _ALUMINIUM_STRENGTH),
    thermal_expansion=21e-6,
    density=2670.0,
    conductivity=Table((25, 100, 200, 300, 400), (111.0, 138.0, 154.0, 170.0, 155.0)),
    specific_heat=Table(
        (25, 100, 200, 300, 400, 500, 557), (879, 926, 968, 1006, 1047, 1095, 1127)
    ),
    solidus=557.0,
    liquidus=596.0,
    latent_heat=500_000.0,
    sources=(
        "youngs_modulus, density: EOS Aluminium AlSi10Mg data sheet for the M 290 (2014), as "
        "built; the mean of horizontal and vertical (75, 70 GPa)",
        "poisson_ratio, thermal_expansion: die-cast A360.0-F (Al-9.5Si-0.5Mg), typical",
        "yield_stress: at 25 C the same data sheet, mean of horizontal and vertical (270, 240 "
        "MPa); its decrease from die-cast 360.0-F, typical; N. E. Uzan et al., Additive "
        "Manufacturing 24 (2018) find the same sharp drop above 200 C in LPBF parts",
        f"{_HARDENING} (the same data sheet: 240-270 and 460 MPa, 6-9 %)",
        "conductivity: at 25 C the same data sheet, mean of horizontal and vertical (103, 119); "
        "at 100-400 C typical of LPBF parts as built, from Materials 16 (2023) 4920; "
        "heat-treated parts conduct 173 at 25 C",
        "specific_heat: 0.9 aluminium + 0.1 silicon by the Shomate equations of the NIST Chemistry "
        "WebBook; the data sheet gives 910-920 with an uncertainty of 50 at 25 C",
        "solidus, liquidus: melting range of 360.0 (1035-1105 F)",
        "latent_heat: typical, between 389 kJ/kg of A356.0 (7 % Si) and some 560 of Al-12Si",
    ),
)

MATERIALS = {
    material.name: material for material in (TI_6AL_4V, STEEL_316L, IN718, IN625, ALSI10MG)
}


def get_material(material: str | Material) -> Material:
    """Return the material of a name of :data:`lpbf.MATERIALS`; a material is returned as it is.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(material, Material):
        return material
    check_choice("unknown material", material, list(MATERIALS))
    return MATERIALS[material]
